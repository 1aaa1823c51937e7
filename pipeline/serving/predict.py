"""Classifies image files with a pushed model. Imports TensorFlow only after the files' headers have been checked."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shiftvit.errors import UserError
from shiftvit.files import atomic, paths
from shiftvit.image_files import check_image, decode_image

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
    """Returns the predictions for image files, in their order.

    Args:
        model: folder of a SavedModel.
        images: the files.

    Raises:
        DataError: when a file is missing, damaged, too large or has a format that `pixels.decode` does not read.
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
    from shiftvit.export import load

    try:
        return load(model)
    except OSError as error:
        raise UserError(f"{model}: not a SavedModel that loads ({paths.real(str(error))})") from error


def _classify(model: Any, images: Sequence[Path]) -> Iterator[Prediction]:
    import tensorflow as tf

    from shiftvit.export import CLASS_ID, CLASS_NAME, PROBABILITIES, answer_of, resize_of

    (answer, size), resize = answer_of(model), resize_of(model)
    names = [name.decode() for name in model.list_classes().numpy()]
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        outputs = answer(tf.constant(np.stack([decode_image(path, size, resize) for path in batch])))
        columns = (outputs[name].numpy() for name in (CLASS_NAME, CLASS_ID, PROBABILITIES))
        for path, name, class_id, probabilities in zip(batch, *columns, strict=True):
            top3 = sorted(zip(names, probabilities.tolist(), strict=True), key=lambda item: -item[1])[:3]
            yield Prediction(path, name.decode(), int(class_id), float(probabilities[class_id]), tuple(top3))
