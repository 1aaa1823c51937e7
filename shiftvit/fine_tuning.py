"""Fine-tuning of trained weights: which layers stay frozen, and at what share of the learning rate the others train."""

import re
from collections.abc import Sequence

import tensorflow as tf


def freeze(network: tf.keras.Model, stages: int, depths: Sequence[int]) -> None:
    """Freezes the first stages of a network of `build_network`, with the stem and the merges before them.

    Frozen layers compute as at inference: batch norm uses its saved statistics, and nothing is dropped.

    Args:
        network: not yet compiled.
        stages: how many, from 0 to all of them; the final norm and the head always train.
        depths: blocks of each stage.
    """
    for layer in network.layers:
        if _position(layer.name, depths)[0] < stages:
            layer.trainable = False


def rate_factors(network: tf.keras.Model, layer_decay: float, depths: Sequence[int]) -> dict[str, float]:
    """Returns the share of the learning rate that each layer of a network of `build_network` has, by its name.

    As in BEiT (Bao et al., 2022; microsoft/unilm, beit/optim_factory.py) the layers are numbered by depth: the stem is
    0, the blocks of all stages count on from 1, and the final norm and the head come last. The last have the full rate,
    and each depth has `layer_decay` times the rate of the next. A merge has the depth of the block after it, like the
    downsampling of ConvNeXt (facebookresearch/ConvNeXt, optim_factory.py).
    """
    last = sum(depths) + 1
    return {layer.name: layer_decay ** (last - _depth(layer.name, depths)) for layer in network.layers}


def _depth(layer: str, depths: Sequence[int]) -> int:
    stage, block = _position(layer, depths)
    return sum(depths[:stage]) + block + 1


def _position(layer: str, depths: Sequence[int]) -> tuple[int, int]:
    """Returns the stage of a layer and its block there; what follows the last stage counts as a further one."""
    if layer.startswith("stem"):
        return 0, -1
    found = re.match(r"(?:stage|merge)(\d+)(?:_block(\d+))?", layer)
    return (int(found[1]), int(found[2] or 0)) if found else (len(depths), 0)
