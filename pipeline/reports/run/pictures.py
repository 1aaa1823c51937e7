"""Pictures that are part of the page itself."""

import base64
import io

import numpy as np
from PIL import Image

from charts.markup import escape


def picture(pixels: np.ndarray, alternative: str) -> str:
    """Returns the image, uint8 (H, W, 3), as markup, with words in its place for who does not see it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode()
    height, width, _ = pixels.shape
    return f'<img src="data:image/png;base64,{data}" alt="{escape(alternative)}" width="{width}" height="{height}">'


def strip(images: np.ndarray) -> np.ndarray:
    """Returns images, uint8 (N, H, W, 3), side by side with a white pixel between, as one."""
    parted = np.pad(images, ((0, 0), (0, 0), (0, 1), (0, 0)), constant_values=255)
    return np.concatenate(list(parted), axis=1)[:, :-1]
