"""Chooses the size of the patches that the stem merges, and the number of stages, by the size of the images."""

from shiftvit.errors import ConfigError

_FEW = ((48, 2), (256, 4))  # images up to so many pixels a side, and the largest patch for them
_MOST = 8  # for larger ones; with these, most sizes have a first map of 16 to 64 pixels a side


def largest_patch(size: int, stages: int, shift: int = 1, power_of_2: bool = False) -> int:
    """Returns the patch size for images of `size` pixels a side, or 0 if none lets all stages fit.

    It is the largest up to a limit that divides the size: a power of two mostly, but a first map of 99 pixels, which
    images of 99 have without patches, costs nine times one of 33.

    Args:
        size: of the images, in pixels a side.
        stages: of the network; each after the first halves the map, whose side must not fall below 1.
        shift: pixels by which the blocks shift; fewer than a side of the first map has.
        power_of_2: whether the patch size must be one.

    >>> [largest_patch(size, 4) for size in (8, 32, 48, 64, 99, 224, 512)]
    [1, 2, 2, 4, 3, 4, 8]
    """
    most = next((patch for limit, patch in _FEW if size <= limit), _MOST)
    patches = range(most, 0, -1)
    return next((p for p in patches if _fits(size, p, stages, shift) and not (power_of_2 and p & (p - 1))), 0)


def check_patch(patch: int, size: int, stages: int, shift: int, power_of_2: bool) -> None:
    """Raises ConfigError, with the way out, unless the patches fit; the arguments are those of `largest_patch`."""
    fitting = largest_patch(size, stages, shift, power_of_2)
    choice = f"set model.patch_size={fitting}, or 0 to have it chosen" if fitting else ""
    if size % patch:
        raise ConfigError(
            f"model.patch_size={patch} does not divide images of {size} pixels a side; "
            f"{choice or 'set model.image_size to a multiple of it'}"
        )
    most = most_stages(size, patch)
    if stages > most:
        raise ConfigError(
            f"images of {size} pixels a side are too small for model.patch_size={patch} and {stages} stages, each of "
            f"which halves the map; {choice and f'{choice}, or '}keep the first {most} entries of model.dims and "
            "model.depths"
        )
    if shift >= size // patch:
        raise ConfigError(f"model.shift_pixels={shift} must be less than {size // patch}, a side of the first map")


def _fits(size: int, patch: int, stages: int, shift: int) -> bool:
    return size % patch == 0 and stages <= most_stages(size, patch) and shift < size // patch


def most_stages(size: int, patch: int) -> int:
    """Returns how many stages fit: the last one's map must have a pixel.

    >>> most_stages(32, 2), most_stages(8, 1), most_stages(7, 1)
    (5, 4, 3)
    """
    return (size // patch).bit_length()
