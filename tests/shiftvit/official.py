"""The official code's vectors, and how its weights go into our network."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from shiftvit.config import ModelConfig

FOLDER = Path(__file__).with_name("data")


def load_vectors(name: str) -> dict[str, np.ndarray]:
    """Returns the arrays of one file: config (JSON), weights, inputs and outputs, in PyTorch's layout."""
    with np.load(FOLDER / f"{name}.npz") as vectors:
        return dict(vectors)


def model_config(values: dict) -> ModelConfig:
    """Returns the official configuration `values` in our names, without drop path."""
    dims = tuple(values["embed_dim"] * 2**stage for stage in range(len(values["depths"])))
    return ModelConfig(
        image_size=values["img_size"],
        patch_size=values["patch_size"],
        dims=dims,
        depths=tuple(values["depths"]),
        n_div=values["n_div"],
        mlp_ratio=values["mlp_ratio"],
        drop_path=0.0,
        num_classes=values["num_classes"],
    )


def paper_variants() -> dict[str, dict]:
    """Returns the published variants by name: their configuration and `params`, how many weights they have."""
    return json.loads((FOLDER / "paper_variants.json").read_text())


def set_weights(network: tf.keras.Model, vectors: dict[str, np.ndarray], config: ModelConfig) -> None:
    """Puts the official weights into `network`, built by `build_network(config)`; every weight must find its place."""
    unused = {name.removeprefix("weight/"): value for name, value in vectors.items() if name.startswith("weight/")}

    def put(layer, prefix):
        names = [f"{prefix}.{kind}" for kind in ("weight", "bias") if f"{prefix}.{kind}" in unused]
        layer.set_weights(
            [_ours(unused.pop(name), weight.shape) for name, weight in zip(names, layer.weights, strict=True)]
        )

    put(network.get_layer("stem"), "patch_embed.proj")
    put(network.get_layer("stem_norm"), "patch_embed.norm")
    for stage, depth in enumerate(config.depths):
        if stage:
            put(network.get_layer(f"merge{stage}_norm"), f"layers.{stage - 1}.downsample.norm")
            put(network.get_layer(f"merge{stage}"), f"layers.{stage - 1}.downsample.reduction")
        for number in range(depth):
            block, prefix = network.get_layer(f"stage{stage}_block{number}"), f"layers.{stage}.blocks.{number}"
            put(block.norm, f"{prefix}.norm2")
            put(block.expand, f"{prefix}.mlp.fc1")
            put(block.project, f"{prefix}.mlp.fc2")
    put(network.get_layer("norm"), "norm")
    put(network.get_layer("head"), "head")
    assert not unused, f"weights without a place: {sorted(unused)}"


def _ours(weight: np.ndarray, shape) -> np.ndarray:
    """Returns a weight with its axes in Keras' order; a 1 x 1 convolution becomes the kernel of a dense layer."""
    if weight.ndim == 4:
        weight = weight.transpose(2, 3, 1, 0)
    elif weight.ndim == 2:
        weight = weight.T
    return weight.reshape(shape)
