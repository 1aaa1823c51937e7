"""What every kind of source is read into. Imports NumPy only."""

from dataclasses import dataclass

import numpy as np

from components.example_gen.bad_images import BadImage


@dataclass(frozen=True)
class Block:
    """Some images of a split, in order."""

    images: np.ndarray  # uint8 (N, size, size, 3)
    labels: np.ndarray  # class ids (N,)
    digests: tuple[str, ...] = ()  # of all image files, empty for a bad one; none for sources without files
    bad: tuple[BadImage, ...] = ()  # files in the place of which the block has no image
