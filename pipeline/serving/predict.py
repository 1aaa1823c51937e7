"""Asks a pushed model what images show. TensorFlow is imported only when there is something to ask."""

import contextlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from shiftvit.errors import DataError, UserError
from shiftvit.features import JPEG_SCAN, MAX_FILE_PIXELS, MAX_FILE_SCANS
from shiftvit.files import atomic

MAX_BYTES = 100_000_000  # of one file, and of the files that are sent to the model at once
_BATCH = 64
_MAGIC = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}

# What a damaged image makes Pillow raise: it believes what the file says of itself.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, struct.error, zlib.error)


@dataclass(frozen=True)
class Prediction:
    """The model's answer for one image file."""

    path: Path
    class_name: str
    class_id: int
    probability: float
    top3: tuple[tuple[str, float], ...]  # the most probable class names, each with its probability


def predict(model: Path, images: Sequence[Path]) -> list[Prediction]:
    """Returns the answers of the SavedModel in folder `model`, in the order of `images`, which are PNG or JPEG files.

    Raises:
        DataError: for the first file that is missing, is no such image, is damaged or too large; before any is asked.
        UserError: when there is no model that loads.
    """
    for path in images:
        check_image(path)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(atomic.hold(model))  # while it is asked, it stays, though newer ones take its place
        except OSError as error:
            raise UserError(
                f"{model}: cannot be read ({error.strerror}); `shiftvit versions` lists those there are"
            ) from error
        return list(_ask(_load(model), images))


def check_image(path: Path) -> None:
    """Decodes the file once.

    Raises:
        DataError: as `predict` does.
    """
    kind = _kind(path)
    try:
        with Image.open(path, formats=[kind]) as image:
            pixels = image.width * image.height
            if pixels <= MAX_FILE_PIXELS:
                image.load()
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except _BROKEN as error:
        raise DataError(f"{path}: a damaged {kind} image ({error})") from error
    if pixels > MAX_FILE_PIXELS:
        raise _too_large(path)


def _kind(path: Path) -> str:
    """Returns PNG or JPEG; raises DataError for what need not be decoded to be refused."""
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: not a file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror})") from error
    kind = next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)
    if kind is None:
        raise DataError(f"{path}: not a PNG or JPEG image; convert it to one of them")
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: more than {MAX_BYTES:,} bytes; scale it down")
    if kind == "JPEG" and content.count(JPEG_SCAN) > MAX_FILE_SCANS:
        raise DataError(f"{path}: a JPEG of more than {MAX_FILE_SCANS} scans; save it anew")
    return kind


def _too_large(path: Path) -> DataError:
    return DataError(f"{path}: more than {MAX_FILE_PIXELS:,} pixels; scale it down")


def _load(model: Path) -> Any:
    import tensorflow as tf

    try:
        return tf.saved_model.load(str(model))
    except OSError as error:
        raise UserError(f"{model}: not a SavedModel that loads ({error})") from error


def _ask(model: Any, images: Sequence[Path]) -> Iterator[Prediction]:
    from shiftvit.export import CLASS_ID, CLASS_NAME, PROBABILITIES, SERVING_DEFAULT

    names = [name.decode() for name in model.list_classes().numpy()]
    for batch in _batches(images):
        answers = _answers(model.signatures[SERVING_DEFAULT], batch)
        for path, name, class_id, probabilities in zip(
            batch, answers[CLASS_NAME], answers[CLASS_ID], answers[PROBABILITIES].tolist(), strict=True
        ):
            top3 = sorted(zip(names, probabilities, strict=True), key=lambda item: -item[1])[:3]
            yield Prediction(path, name.decode(), int(class_id), probabilities[class_id], tuple(top3))


def _batches(images: Sequence[Path]) -> Iterator[list[Path]]:
    batch, size = [], 0
    for path in images:
        size += path.stat().st_size
        if batch and (len(batch) == _BATCH or size > MAX_BYTES):
            yield batch
            batch, size = [], path.stat().st_size
        batch.append(path)
    yield batch


def _answers(signature: Any, batch: Sequence[Path]) -> dict[str, Any]:
    """Returns the outputs by name, as NumPy arrays."""
    import tensorflow as tf

    from shiftvit.export import IMAGE_BYTES_INPUT

    try:
        outputs = signature(**{IMAGE_BYTES_INPUT: tf.constant([path.read_bytes() for path in batch])})
    except tf.errors.InvalidArgumentError as error:
        if len(batch) == 1:
            raise DataError(f"{batch[0]}: the model cannot decode it; save it anew as a plain RGB image") from error
        for path in batch:  # finds which one it was
            _answers(signature, [path])
        raise
    return {name: value.numpy() for name, value in outputs.items()}
