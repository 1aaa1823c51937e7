"""Images embedded in the page."""

import base64
import io

import numpy as np
from PIL import Image

from charts.markup import escape


def picture(pixels: np.ndarray, description: str) -> str:
    """Returns an image as markup.

    Args:
        pixels: uint8 (H, W, 3).
        description: plain text for screen readers.
    """
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    height, width, _ = pixels.shape
    return f'<img src="data:image/png;base64,{data}" alt="{escape(description)}" width="{width}" height="{height}">'


def strip(images: np.ndarray) -> np.ndarray:
    """Returns images, uint8 (N, H, W, 3), side by side as one, with a white line between them."""
    padded = np.pad(images, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=255)
    return np.concatenate(list(padded), axis=1)[:, :-1]
