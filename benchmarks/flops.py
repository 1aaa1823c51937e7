"""How many floating-point operations the matrix products of the network take; a multiplication and an addition are two.

Norms, activations and the shift are left out: they are counted by the bytes they move.
"""

from shiftvit.config import ModelConfig


def product(rows: int, inner: int, columns: int) -> int:
    """Returns the operations of a product of (rows, inner) by (inner, columns)."""
    return 2 * rows * inner * columns


def stem(config: ModelConfig) -> int:
    """Returns those of the stem for one image, forward."""
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
    """Returns those of the network for one image, forward."""
    side, total = config.image_size // config.patch_size, stem(config)
    for stage, (channels, depth) in enumerate(zip(config.dims, config.depths, strict=True)):
        if stage:
            side = -(-side // 2)
            total += product(side * side, 4 * config.dims[stage - 1], channels)
        total += depth * 2 * product(side * side, channels, int(channels * config.mlp_ratio))
    return total + product(1, config.dims[-1], config.num_classes)


def training(config: ModelConfig) -> int:
    """Returns those of a training step for one image: backward is twice forward, but no gradient leaves the stem."""
    return 3 * forward(config) - stem(config)
