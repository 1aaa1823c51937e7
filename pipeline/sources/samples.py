"""A picture of some images of a source, with their classes."""

import base64
import io
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from charts import svg
from charts.markup import element
from components.example_gen import image_files, records
from pipeline.sources.prepare import Source
from shiftvit import pixels
from shiftvit.errors import DataError
from shiftvit.image_files import read_file

SAMPLES = 12
_COLUMNS = 4
_TILE, _CAPTION, _GAP = 128, 24, 10  # units of the drawing: side of an image, height of its caption, distance
_LETTERS = 18  # of a caption
_LOOKED_AT = 1000  # binary records among which samples are chosen


def picture(source: Source) -> str:
    """Returns an SVG of SAMPLES training images as they are stored, of as many classes as possible.

    It is an SVG so that class names show in any script, whichever fonts this machine has.
    """
    samples = list(_samples(source))
    rows = -(-len(samples) // _COLUMNS)
    width, height = _COLUMNS * (_TILE + _GAP) + _GAP, rows * (_TILE + _CAPTION + _GAP) + _GAP
    content = [svg.rectangle(0, 0, width, height, fill="#fff")]
    for index, (image, name) in enumerate(samples):
        left = _GAP + index % _COLUMNS * (_TILE + _GAP)
        top = _GAP + index // _COLUMNS * (_TILE + _CAPTION + _GAP)
        place = {"x": left, "y": top, "width": _TILE, "height": _TILE}
        content.append(element("image", href=_as_data(image), style="image-rendering: pixelated", **place))
        content.append(svg.text(left, top + _TILE + _CAPTION / 2, svg.shorten(name, _LETTERS)))
    shape = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height}
    look = {"font_family": "system-ui, sans-serif", "font_size": 13}
    return element("svg", *content, xmlns="http://www.w3.org/2000/svg", **shape, **look)


def _as_data(image: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _samples(source: Source) -> Iterator[tuple[np.ndarray, str]]:
    """Yields images of the first split, uint8 (size, size, 3), and their classes."""
    identity, split = source.identity, next(iter(source.identity.counts))
    if not identity.resize:
        with open(records.split_file(source.folder, split), "rb") as file:
            block = file.read(_LOOKED_AT * records.RECORD_BYTES)
        images, labels = records.unpack(block, identity.num_classes, split)
        for index in _varied(labels.tolist())[:SAMPLES]:
            yield images[index], identity.class_names[labels[index]]
        return
    entries = image_files.read_list(image_files.list_file(source.folder, split))
    found = 0
    for index in _varied([label for _, label in entries]):
        path, label = entries[index]
        try:
            content = read_file(source.image_folder / path)
            yield pixels.decode(content, identity.image_size, identity.resize), identity.class_names[label]
        except (OSError, DataError):
            continue
        found += 1
        if found == SAMPLES:
            return


def _varied(labels: Sequence[int]) -> list[int]:
    """Returns all indices: that of the first image of each class, then of the second of each, and so on."""
    seen: Counter[int] = Counter()
    ranked = []
    for index, label in enumerate(labels):
        ranked.append((seen[label], label, index))
        seen[label] += 1
    return [index for _, _, index in sorted(ranked)]
