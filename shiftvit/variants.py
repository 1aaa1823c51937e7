"""The nine published variants of ShiftViT, by the names of the official code (microsoft/SPACH)."""

from shiftvit.config import ModelConfig, nearest
from shiftvit.errors import ConfigError

# Channels of the first stage (each further one doubles them), blocks of each stage, MLP ratio, channel groups.
_FIGURES = {
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
VARIANTS = tuple(_FIGURES)


def variant(name: str) -> ModelConfig:
    """Returns the published network `name`, for ImageNet: 1000 classes, images of 224 pixels, patches of 4.

    What the weights do not depend on, drop path above all, is at the configuration's defaults.

    Raises:
        ConfigError: for an unknown name, with the nearest known ones.
    """
    if name not in _FIGURES:
        raise ConfigError(f"unknown variant {name}; {nearest(name, _FIGURES)}")
    channels, depths, mlp_ratio, n_div = _FIGURES[name]
    return ModelConfig(
        image_size=224,
        patch_size=4,
        dims=tuple(channels * 2**stage for stage in range(len(depths))),
        depths=depths,
        n_div=n_div,
        mlp_ratio=mlp_ratio,
        num_classes=1000,
    )
