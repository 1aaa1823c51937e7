"""Reference data of the official code: inputs and outputs of networks, and the published variants."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shiftvit.config import ModelConfig

FOLDER = Path(__file__).parents[1] / "shiftvit/data"
NORMS = {"GN1": "group1", "BN": "batch"}


@dataclass(frozen=True)
class Vectors:
    """An official network with its inputs and outputs, in our layout (N, H, W, C) except for the weights."""

    config: ModelConfig
    weights: dict[str, np.ndarray]  # the official state dict
    images: np.ndarray
    features: dict[str, np.ndarray]  # by the name of our layer
    logits: np.ndarray
    gradient: np.ndarray  # of the sum of the squared logits with respect to the images


def load_vectors(name: str) -> Vectors:
    """Reads the reference data of one network."""
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = dict(file)
    config = model_config(json.loads(str(arrays["config"])))
    return Vectors(
        config=config,
        weights=_under("weight/", arrays),
        images=_to_nhwc(arrays["input_nchw"]),
        features={_layer(name, config): _to_nhwc(value) for name, value in _under("feature_nchw/", arrays).items()},
        logits=arrays["logits"],
        gradient=_to_nhwc(arrays["input_gradient_of_sum_of_squared_logits_nchw"]),
    )


def load_shift(name: str) -> tuple[np.ndarray, int, np.ndarray]:
    """Reads the input, n_div and output of the official shift, in our layout."""
    with np.load(FOLDER / f"{name}.npz") as file:
        return _to_nhwc(file["input_nchw"]), int(file["n_div"]), _to_nhwc(file["output_nchw"])


def model_config(values: dict) -> ModelConfig:
    """Converts an official configuration; drop path is off."""
    return ModelConfig(
        image_size=values["img_size"],
        patch_size=values["patch_size"],
        dims=tuple(values["embed_dim"] * 2**stage for stage in range(len(values["depths"]))),
        depths=tuple(values["depths"]),
        n_div=values["n_div"],
        mlp_ratio=float(values["mlp_ratio"]),
        norm=NORMS[values.get("norm_layer", "GN1")],
        activation=values.get("act_layer", "GELU").lower(),
        drop_path=0.0,
        num_classes=values["num_classes"],
    )


def paper_variants() -> dict[str, dict]:
    """Returns the published variants by name: their configuration, and their number of weights as `params`."""
    return json.loads((FOLDER / "paper_variants.json").read_text())


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _layer(feature: str, config: ModelConfig) -> str:
    """Returns our layer for an official feature. An official stage includes the merging after it."""
    if feature == "patch_embed":
        return "stem_norm"
    stage = int(feature.removeprefix("stage"))
    last = len(config.depths) - 1
    return f"merge{stage + 1}" if stage < last else f"stage{last}_block{config.depths[last] - 1}"


def _to_nhwc(array: np.ndarray) -> np.ndarray:
    return array.transpose(0, 2, 3, 1)
