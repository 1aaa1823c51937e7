"""The official code's weights (microsoft/SPACH, a PyTorch state dict) into our network, and back."""

import io
import os
import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from shiftvit.errors import ConfigError, DataError, one_line

# The official names of our layers outside the stages, and of the variables that a layer may have.
_LAYERS = {"stem": "patch_embed.proj", "stem_norm": "patch_embed.norm", "norm": "norm", "head": "head"}
_VARIABLES = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_MLP_VARIABLES = {
    "expand_kernel": "fc1.weight",
    "expand_bias": "fc1.bias",
    "project_kernel": "fc2.weight",
    "project_bias": "fc2.bias",
}


def read_official(path: str) -> dict[str, np.ndarray]:
    """Returns the arrays of an official state dict by name: float32, in PyTorch's layout.

    Args:
        path: an .npz file of the arrays, or a .pth file of the state dict, alone or under the key "model". The
            latter needs torch, and is read without running any code that it may hold.

    Raises:
        ConfigError: when the name ends in neither, or torch is needed and not installed.
        DataError: when the file is missing, damaged, or holds anything but floating-point arrays.
    """
    read = _READERS.get(os.path.splitext(path)[1])
    if read is None:
        raise ConfigError(f"{path} cannot hold official weights: its name must end in {' or '.join(_READERS)}")
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content = io.BytesIO(file.read())
    except tf.errors.OpError as error:
        raise DataError(f"{path} cannot be read: {one_line(error).rpartition('; ')[2]}") from error
    arrays = _without_counters(read(content, path))
    for name, array in arrays.items():
        if not np.issubdtype(array.dtype, np.floating):
            raise DataError(f"{path} holds other things than weights: {name} is of type {array.dtype}")
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _read_npz(content: io.BytesIO, path: str) -> dict[str, np.ndarray]:
    try:
        with np.load(content, allow_pickle=False) as file:
            return dict(file)
    except Exception as error:  # over a damaged file NumPy stumbles anywhere
        raise DataError(f"{path} is damaged, or is no .npz file of plain arrays") from error


def _read_pth(content: io.BytesIO, path: str) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise ConfigError(
            f"{path} cannot be read because torch is not installed: install it, or convert the file where it is, with "
            f"import numpy, torch; weights = torch.load({path!r}, 'cpu', weights_only=True); "
            "numpy.savez('weights.npz', **weights.get('model', weights))"
        ) from error
    try:
        state = torch.load(content, map_location="cpu", weights_only=True)
    except Exception as error:  # as above; torch's own sentence advises to run what code the file may hold
        raise DataError(f"{path} is damaged, or holds more than tensors: save the state dict alone") from error
    state = state.get("model", state) if isinstance(state, Mapping) else state
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise DataError(f'{path} is no state dict: it must hold tensors by name, at its top or under "model"')
    state = {name: value.detach() for name, value in state.items()}
    # NumPy has no bfloat16.
    return {name: (value.float() if value.is_floating_point() else value).numpy() for name, value in state.items()}


_READERS = {".npz": _read_npz, ".pth": _read_pth}


def load_official(network: tf.keras.Model, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Puts official weights into a network of `build_network`: all of them or, where one does not fit, none.

    Weights do not tell the size of the images, which may differ: the network is convolutional. Nor do they tell
    `n_div`, `shift_pixels` and `activation`, which must be those that they were trained with.

    Returns:
        A sentence for each part of the network that was left at its initialisation: a head of other classes.

    Raises:
        ConfigError: when the weights are of another network.
    """
    places = _places(network)
    ours, theirs = to_official(network), _without_counters(arrays)
    left_out = _heads_that_differ(ours, theirs)
    for name in [*ours, *theirs]:
        if name not in left_out:
            _require_fit(name, ours.get(name), theirs.get(name))
    for name, variable in places.items():
        if name not in left_out:
            variable.assign(_to_our_axes(theirs[name]).reshape(variable.shape))
    return [
        f"the head of {len(theirs[name])} classes was left out: this network has {len(ours[name])}"
        for name in left_out[:1]
    ]


def to_official(network: tf.keras.Model) -> dict[str, np.ndarray]:
    """Returns the weights of a network of `build_network` as an official state dict: the inverse of `load_official`.

    Raises:
        ConfigError: when the official code has no such network.
    """
    return {name: _to_official_axes(variable.numpy(), name) for name, variable in _places(network).items()}


def _places(network: tf.keras.Model) -> dict[str, tf.Variable]:
    """Returns our variable for each official name, in the order of the network."""
    places = {}
    for layer in network.layers:
        block = re.fullmatch(r"stage(\d+)_block(\d+)", layer.name)
        if block:
            prefix = f"layers.{block[1]}.blocks.{block[2]}"
            places |= _variables(layer.norm, f"{prefix}.norm2", _VARIABLES)
            places |= _variables(layer.mlp, f"{prefix}.mlp", _MLP_VARIABLES)
        elif layer.weights:
            places |= _variables(layer, _official_name(layer.name), _VARIABLES)
    return places


def _variables(layer: tf.keras.layers.Layer, prefix: str, names: Mapping[str, str]) -> dict[str, tf.Variable]:
    return {
        f"{prefix}.{theirs}": getattr(layer, ours)
        for ours, theirs in names.items()
        if getattr(layer, ours, None) is not None
    }


def _official_name(layer: str) -> str:
    merge = re.fullmatch(r"merge(\d+)(_norm)?", layer)
    if merge:
        return f"layers.{int(merge[1]) - 1}.downsample.{'norm' if merge[2] else 'reduction'}"
    if layer not in _LAYERS:
        raise ConfigError(f"official weights are of networks with model.stem=patch: they have no layer {layer}")
    return _LAYERS[layer]


def _to_official_axes(weight: np.ndarray, name: str) -> np.ndarray:
    """Returns a weight with the axes (out, in, rows, columns); there, a dense layer of the MLP is a convolution."""
    if ".mlp." in name and weight.ndim == 2:
        weight = weight[None, None]
    return weight.transpose(3, 2, 0, 1) if weight.ndim == 4 else weight.T


def _to_our_axes(weight: np.ndarray) -> np.ndarray:
    return weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T


def _without_counters(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """PyTorch counts the updates of each batch norm; what it computes does not depend on them."""
    return {name: array for name, array in arrays.items() if not name.endswith("num_batches_tracked")}


def _heads_that_differ(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> list[str]:
    """Returns the names of the head's weights where both networks have one and only the numbers of classes differ."""
    names = ["head.weight", "head.bias"]
    if not theirs.keys() >= set(names):
        return []
    shapes = [(ours[name].shape, theirs[name].shape) for name in names]
    differ = all(our[:1] != their[:1] and our[1:] == their[1:] for our, their in shapes)
    return names if differ else []


def _require_fit(name: str, ours: np.ndarray | None, theirs: np.ndarray | None) -> None:
    """Raises ConfigError unless both networks have the weight `name`, in one shape."""
    shapes = [None if array is None else array.shape for array in (ours, theirs)]
    if shapes[0] != shapes[1]:
        this, they = ("none" if shape is None else f"one of shape {shape}" for shape in shapes)
        raise ConfigError(
            f"the weights are of another network: of {name} they have {they}, and this network has {this}; "
            "model.dims, depths, patch_size, mlp_ratio and norm must be those that they were trained with"
        )
