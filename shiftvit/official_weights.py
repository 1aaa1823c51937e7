"""Conversion of weights between the official code (microsoft/SPACH, PyTorch state dicts) and our network."""

import io
import os
import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from shiftvit.errors import ConfigError, DataError, one_line

# From our names to the official ones: layers outside of the stages, and variables of layers.
_LAYERS = {"stem": "patch_embed.proj", "stem_norm": "patch_embed.norm", "norm": "norm", "head": "head"}
_VARIABLES = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "expand_kernel": "fc1.weight",
    "expand_bias": "fc1.bias",
    "project_kernel": "fc2.weight",
    "project_bias": "fc2.bias",
}


def read_official(path: str) -> dict[str, np.ndarray]:
    """Reads an official state dict: float32 arrays by name, in PyTorch's layout.

    Args:
        path: an .npz file of the arrays, or a .pth file with the state dict at its top or under the key "model".
            Reading .pth needs torch, but never runs code that the file may contain.

    Raises:
        ConfigError: for another file type, or if torch is needed but not installed.
        DataError: if the file is missing, is damaged, or holds anything but floating-point arrays.
    """
    read = _READERS.get(os.path.splitext(path)[1])
    if read is None:
        raise ConfigError(f"{path} is no file of official weights: its name must end in {' or '.join(_READERS)}")
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content = io.BytesIO(file.read())
    except tf.errors.OpError as error:
        raise DataError(f"{path} cannot be read: {one_line(error).rpartition('; ')[2]}") from error
    arrays = _drop_counters(read(content, path))
    for name, array in arrays.items():
        if not np.issubdtype(array.dtype, np.floating):
            raise DataError(f"{path} holds more than weights: {name} is of type {array.dtype}")
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _read_npz(content: io.BytesIO, path: str) -> dict[str, np.ndarray]:
    try:
        with np.load(content, allow_pickle=False) as file:
            return dict(file)
    except Exception as error:  # on a damaged file NumPy may fail anywhere
        raise DataError(f"{path} is damaged or not an .npz file of plain arrays") from error


def _read_pth(content: io.BytesIO, path: str) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise ConfigError(
            f"{path} cannot be read because torch is not installed: install it, or convert the file elsewhere, with "
            f"import numpy, torch; weights = torch.load({path!r}, 'cpu', weights_only=True); "
            "numpy.savez('weights.npz', **weights.get('model', weights))"
        ) from error
    try:
        state = torch.load(content, map_location="cpu", weights_only=True)
    except Exception as error:  # as above; torch's message suggests loading untrusted code, so it is not shown
        raise DataError(f"{path} is damaged or holds more than tensors: save the state dict alone") from error
    state = state.get("model", state) if isinstance(state, Mapping) else state
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise DataError(f'{path} is not a state dict: it must hold tensors by name, at its top or under "model"')
    state = {name: value.detach() for name, value in state.items()}
    # Through float32, because NumPy has no bfloat16.
    return {name: (value.float() if value.is_floating_point() else value).numpy() for name, value in state.items()}


_READERS = {".npz": _read_npz, ".pth": _read_pth}


def load_official(network: tf.keras.Model, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Loads official weights into a network of `build_network`: all of them or, if one does not fit, none.

    The image size may differ from that of the weights. `n_div`, `shift_pixels` and `activation` must be the same, but
    weights do not reveal them, so that is not checked.

    Returns:
        Notes: a sentence about the head if it keeps its initialisation, because its number of classes differs.

    Raises:
        ConfigError: if the weights belong to another network.
    """
    ours, theirs = to_official(network), _drop_counters(arrays)
    skipped = _mismatched_head(ours, theirs)
    for name in [*ours, *theirs]:
        if name not in skipped:
            _require_fit(name, ours.get(name), theirs.get(name))
    for name, variable in _variables_by_official_name(network).items():
        if name not in skipped:
            variable.assign(_to_our_axes(theirs[name]).reshape(variable.shape))
    return [
        f"the head of {len(theirs[name])} classes was not loaded: this network has {len(ours[name])}"
        for name in skipped[:1]
    ]


def to_official(network: tf.keras.Model) -> dict[str, np.ndarray]:
    """Returns the weights of a network of `build_network` as an official state dict: the inverse of `load_official`.

    Raises:
        ConfigError: if the official code has no such network.
    """
    variables = _variables_by_official_name(network)
    return {name: _to_official_axes(variable.numpy(), name) for name, variable in variables.items()}


def _variables_by_official_name(network: tf.keras.Model) -> dict[str, tf.Variable]:
    variables: dict[str, tf.Variable] = {}
    for layer in network.layers:
        block = re.fullmatch(r"stage(\d+)_block(\d+)", layer.name)
        if block:
            prefix = f"layers.{block[1]}.blocks.{block[2]}"
            variables |= _layer_variables(layer.norm, f"{prefix}.norm2")
            variables |= _layer_variables(layer.mlp, f"{prefix}.mlp")
        elif layer.weights:
            variables |= _layer_variables(layer, _official_name(layer.name))
    return variables


def _layer_variables(layer: tf.keras.layers.Layer, prefix: str) -> dict[str, tf.Variable]:
    variables = [(f"{prefix}.{theirs}", getattr(layer, ours, None)) for ours, theirs in _VARIABLES.items()]
    return {name: variable for name, variable in variables if variable is not None}


def _official_name(layer: str) -> str:
    merge = re.fullmatch(r"merge(\d+)(_norm)?", layer)
    if merge:
        return f"layers.{int(merge[1]) - 1}.downsample.{'norm' if merge[2] else 'reduction'}"
    if layer not in _LAYERS:
        raise ConfigError(f"official weights need model.stem=patch: they have no layer {layer}")
    return _LAYERS[layer]


def _to_official_axes(weight: np.ndarray, name: str) -> np.ndarray:
    """Returns a weight with axes (out, in, rows, columns); the official MLP is made of 1 x 1 convolutions."""
    if ".mlp." in name and weight.ndim == 2:
        weight = weight[None, None]
    return weight.transpose(3, 2, 0, 1) if weight.ndim == 4 else weight.T


def _to_our_axes(weight: np.ndarray) -> np.ndarray:
    return weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T


def _drop_counters(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Drops PyTorch's counters of batch norm updates, which do not affect the results."""
    return {name: array for name, array in arrays.items() if not name.endswith("num_batches_tracked")}


def _mismatched_head(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> list[str]:
    """Returns the names of the head's weights if the heads differ in their number of classes only."""
    names = ["head.weight", "head.bias"]
    if not theirs.keys() >= set(names):
        return []
    shapes = [(ours[name].shape, theirs[name].shape) for name in names]
    differ = all(our[:1] != their[:1] and our[1:] == their[1:] for our, their in shapes)
    return names if differ else []


def _require_fit(name: str, ours: np.ndarray | None, theirs: np.ndarray | None) -> None:
    """Raises ConfigError unless both networks have the weight, in the same shape."""
    shapes = [None if array is None else array.shape for array in (ours, theirs)]
    if shapes[0] != shapes[1]:
        our_shape, their_shape = ("none" if shape is None else f"one of shape {shape}" for shape in shapes)
        raise ConfigError(
            f"the weights belong to another network: of {name} they have {their_shape}, this network has {our_shape}; "
            "model.dims, depths, patch_size, mlp_ratio and norm must be those that they were trained with"
        )
