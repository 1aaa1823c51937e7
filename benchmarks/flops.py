"""Counts the floating-point operations of the network's matrix products; a multiply-add counts as two.

Norms, activations and the shift are not counted: memory bandwidth limits them, so their limit is the bytes they move.
"""

from shiftvit.config import ModelConfig


def product(rows: int, inner: int, columns: int) -> int:
    """Returns the operations of the matrix product (rows, inner) x (inner, columns)."""
    return 2 * rows * inner * columns


def stem(config: ModelConfig) -> int:
    """Returns the operations of the stem's forward pass for one image."""
    depth, channels, side, patch = 3, config.dims[0], config.image_size, config.patch_size
    if config.stem == "patch":
        return product((side // patch) ** 2, patch * patch * depth, channels)
    total, steps = 0, max(patch.bit_length() - 1, 1)
    for step in range(steps):
        side = side // 2 if patch > 1 else side
        width = channels if step == steps - 1 else channels // 2
        total += product(side * side, 9 * depth, width)
        depth = width
    return total


def forward(config: ModelConfig) -> int:
    """Returns the operations of the network's forward pass for one image."""
    side, total = config.image_size // config.patch_size, stem(config)
    for stage, (channels, depth) in enumerate(zip(config.dims, config.depths, strict=True)):
        if stage:
            side = (side + config.pad_odd_maps) // 2
            total += product(side * side, 4 * config.dims[stage - 1], channels)
        total += depth * 2 * product(side * side, channels, int(channels * config.mlp_ratio))
    return total + product(1, config.dims[-1], config.num_classes)


def training(config: ModelConfig) -> int:
    """Returns the operations of a training step for one image.

    The backward pass takes twice the operations of the forward pass, less one product in the stem, whose input needs no
    gradient.
    """
    return 3 * forward(config) - stem(config)
