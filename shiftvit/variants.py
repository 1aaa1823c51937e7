"""The nine published variants of ShiftViT, named as in the official code (microsoft/SPACH)."""

from shiftvit.config import ModelConfig, suggest
from shiftvit.errors import ConfigError

# Channels of the first stage (each further one doubles them), blocks of each stage, MLP ratio, channel groups.
_DIMENSIONS = {
    "shiftvit_light_tiny": (96, (2, 2, 6, 2), 4.0, 12),
    "shiftvit_r4_tiny": (96, (2, 2, 12, 3), 4.0, 12),
    "shiftvit_r2_tiny": (96, (6, 8, 18, 6), 2.0, 12),
    "shiftvit_light_small": (96, (2, 2, 18, 2), 4.0, 12),
    "shiftvit_r4_small": (96, (2, 6, 24, 4), 4.0, 12),
    "shiftvit_r2_small": (96, (10, 18, 36, 10), 2.0, 12),
    "shiftvit_light_base": (128, (2, 2, 18, 2), 4.0, 16),
    "shiftvit_r4_base": (128, (4, 6, 22, 4), 4.0, 16),
    "shiftvit_r2_base": (128, (10, 18, 36, 10), 2.0, 16),
}
VARIANTS = tuple(_DIMENSIONS)
OFFICIAL_PATCH = 4  # pixels a side, in all of them


def variant(name: str) -> ModelConfig:
    """Returns a published network for ImageNet: 1000 classes, images of 224 pixels, patches of 4.

    Settings that do not affect the shapes of the weights, such as drop path, keep their defaults.

    Raises:
        ConfigError: for an unknown name; the message suggests similar ones.

    >>> variant("shiftvit_r4_tiny").depths
    (2, 2, 12, 3)
    """
    if name not in _DIMENSIONS:
        raise ConfigError(f"unknown variant {name}; {suggest(name, _DIMENSIONS)}")
    channels, depths, mlp_ratio, n_div = _DIMENSIONS[name]
    return ModelConfig(
        image_size=224,
        patch_size=OFFICIAL_PATCH,
        dims=tuple(channels * 2**stage for stage in range(len(depths))),
        depths=depths,
        n_div=n_div,
        mlp_ratio=mlp_ratio,
        num_classes=1000,
    )
