"""Classifies image files with a pushed model. Imports TensorFlow only after the files have been checked."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.serving.image_files import MAX_BYTES, check_image
from shiftvit.errors import DataError, UserError
from shiftvit.files import atomic

_BATCH = 64  # images per call of the model


@dataclass(frozen=True)
class Prediction:
    """The model's prediction for one image file."""

    path: Path
    class_name: str
    class_id: int
    probability: float
    top3: tuple[tuple[str, float], ...]  # the most probable class names, each with its probability


def predict(model: Path, images: Sequence[Path]) -> list[Prediction]:
    """Returns the predictions for PNG or JPEG files, in their order.

    Args:
        model: folder of a SavedModel.
        images: the files.

    Raises:
        DataError: for the first file that is missing, no PNG or JPEG, damaged or too large, before the model runs.
        UserError: when the model cannot be loaded.
    """
    for path in images:
        check_image(path)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(atomic.hold(model))  # keeps newer versions from replacing the folder meanwhile
        except OSError as error:
            raise UserError(
                f"{model}: cannot be read ({error.strerror}); `shiftvit versions` lists the existing versions"
            ) from error
        return list(_classify(_load(model), images))


def _load(model: Path) -> Any:
    import tensorflow as tf

    try:
        return tf.saved_model.load(str(model))
    except OSError as error:
        raise UserError(f"{model}: not a SavedModel that loads ({error})") from error


def _classify(model: Any, images: Sequence[Path]) -> Iterator[Prediction]:
    from shiftvit.export import CLASS_ID, CLASS_NAME, PROBABILITIES, SERVING_DEFAULT

    names = [name.decode() for name in model.list_classes().numpy()]
    for batch in _batches(images):
        outputs = _run(model.signatures[SERVING_DEFAULT], batch)
        for path, name, class_id, probabilities in zip(
            batch, outputs[CLASS_NAME], outputs[CLASS_ID], outputs[PROBABILITIES].tolist(), strict=True
        ):
            top3 = sorted(zip(names, probabilities, strict=True), key=lambda item: -item[1])[:3]
            yield Prediction(path, name.decode(), int(class_id), probabilities[class_id], tuple(top3))


def _batches(images: Sequence[Path]) -> Iterator[list[Path]]:
    """Yields batches of at most _BATCH files and MAX_BYTES bytes."""
    batch: list[Path] = []
    size = 0
    for path in images:
        size += path.stat().st_size
        if batch and (len(batch) == _BATCH or size > MAX_BYTES):
            yield batch
            batch, size = [], path.stat().st_size
        batch.append(path)
    yield batch


def _run(signature: Any, batch: Sequence[Path]) -> dict[str, np.ndarray]:
    """Returns the outputs of the signature by name."""
    import tensorflow as tf

    from shiftvit.export import IMAGE_BYTES_INPUT

    try:
        outputs = signature(**{IMAGE_BYTES_INPUT: tf.constant([path.read_bytes() for path in batch])})
    except tf.errors.InvalidArgumentError as error:
        if len(batch) == 1:
            raise DataError(f"{batch[0]}: the model cannot decode it; save it again as a plain RGB image") from error
        for path in batch:  # finds the file that fails
            _run(signature, [path])
        raise
    return {name: value.numpy() for name, value in outputs.items()}
