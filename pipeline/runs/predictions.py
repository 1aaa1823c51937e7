"""A model's answers to each test image, and sample images, as saved in the run's folder.

Gathering them takes TensorFlow, so the run's own process does that; reading them does not.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from shiftvit import features, progress
from shiftvit.files import atomic

MAX_MISTAKES = 24  # whose images are saved
SAMPLES = 6  # images saved per class
_BATCH = 500  # images at once, or fewer if they are large
_MISTAKE_SIZE, _SAMPLE_SIZE = 96, 64  # pixels a side at which the report shows images


@dataclass(frozen=True)
class Predictions:
    """The answers to N test images, and images of M mistakes and of S training samples.

    Attributes:
        model: () text, digest of the SavedModel.
        split: () text, digest of the test split: images and labels in their order.
        labels: (N,) uint16, true class ids.
        answers: (N,) uint16, answered class ids.
        confidences: (N,) float32, the probability of each answer.
        mistakes: (M,) int64, positions in the test split, the most confident first.
        mistake_images: (M, height, width, 3) uint8, at most 96 pixels a side.
        sample_images: (S, height, width, 3) uint8, ordered by class, at most 64 pixels a side.
        sample_labels: (S,) uint16.
    """

    model: np.ndarray
    split: np.ndarray
    labels: np.ndarray
    answers: np.ndarray
    confidences: np.ndarray
    mistakes: np.ndarray
    mistake_images: np.ndarray
    sample_images: np.ndarray
    sample_labels: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """(N,) bool: whether each answer is right."""
        return self.answers == self.labels


def save(predictions: Predictions, path: Path) -> None:
    """Writes the file atomically."""
    content = io.BytesIO()
    np.savez_compressed(content, **vars(predictions))
    atomic.write_file(path, content.getvalue())


def load(path: Path) -> Predictions | None:
    """Reads a file that `save` wrote; returns None if it does not exist or another version of shiftvit wrote it."""
    try:
        with np.load(path) as arrays:
            current = set(arrays.files) == {field.name for field in fields(Predictions)}
            return Predictions(**arrays) if current else None
    except FileNotFoundError:
        return None


def gather(model: str, examples: str, earlier: Iterable[Path] = ()) -> Predictions:
    """Runs the model on the test split, and samples images from the training split.

    Args:
        model: folder of the SavedModel.
        examples: folder of the Examples artifact.
        earlier: saved predictions, whose answers are reused if model and images are the same.
    """
    from shiftvit.dataset import read_dataset

    dataset = read_dataset(examples)
    test, train = (_Records(examples, split, dataset.image_size) for split in (features.TEST, features.TRAIN))
    labels = test.labels()
    model_digest, split_digest = _digest_files(Path(model)), _digest(test, labels)
    same = (e for e in map(load, earlier) if e and (e.model, e.split) == (model_digest, split_digest))
    known = next(same, None)
    answers, confidences = (known.answers, known.confidences) if known else _predict(model, test)
    mistakes = _most_confident_mistakes(labels, answers, confidences)
    samples, sample_labels = _choose_samples(train.labels(100 * dataset.num_classes), dataset.num_classes)
    return Predictions(
        model=np.array(model_digest),
        split=np.array(split_digest),
        labels=labels,
        answers=answers,
        confidences=confidences,
        mistakes=mistakes,
        mistake_images=_shrink(test.images(mistakes), _MISTAKE_SIZE),
        sample_images=_shrink(train.images(samples), _SAMPLE_SIZE),
        sample_labels=sample_labels,
    )


class _Records:
    """The records of a split, of which few are in memory at once."""

    def __init__(self, examples: str, split: str, size: int) -> None:
        from shiftvit.record_files import RecordFiles

        self._files, self._size = RecordFiles([f"{features.split_folder(examples, split)}/*"]), size

    def __len__(self) -> int:
        return len(self._files)

    def blocks(self, most: int, end: int | None = None) -> Iterator[np.ndarray]:
        """Yields the serialized records up to number `end`, at most so many at once."""
        numbers, at_once = np.arange(len(self))[:end], features.images_at_once(self._size, most)
        for start in range(0, len(numbers), at_once):
            yield self._files.read(numbers[start : start + at_once])

    def labels(self, end: int | None = None) -> np.ndarray:
        """Returns the labels, uint16 (N,), up to number `end`."""
        import tensorflow as tf

        parsed = [tf.io.parse_example(block, features.feature_spec()) for block in self.blocks(_BATCH, end)]
        return np.concatenate([np.empty(0), *(part[features.LABEL] for part in parsed)]).astype(np.uint16)

    def images(self, numbers: np.ndarray) -> np.ndarray:
        """Returns some of the images, uint8 (N, size, size, 3)."""
        return self.parse(self._files.read(numbers))

    def parse(self, block: np.ndarray) -> np.ndarray:
        """Returns the images of serialized records."""
        import tensorflow as tf

        return features.parse(tf.constant(block, tf.string), self._size)[0].numpy()


def _predict(model: str, records: _Records) -> tuple[np.ndarray, np.ndarray]:
    """Returns the answered class ids and their probabilities."""
    import tensorflow as tf

    from shiftvit.export import CLASS_ID, EXAMPLES_INPUT, PROBABILITIES, SERVING_EXAMPLES, load

    signature = load(model).signatures[SERVING_EXAMPLES]
    answers: list[int] = []
    confidences: list[float] = []
    for block in records.blocks(_BATCH):
        outputs = signature(**{EXAMPLES_INPUT: tf.constant(block, tf.string)})
        answers += outputs[CLASS_ID].numpy().tolist()
        confidences += tf.reduce_max(outputs[PROBABILITIES], axis=-1).numpy().tolist()
        progress.report("answers", len(answers), len(records), "image")
    return np.array(answers, np.uint16), np.array(confidences, np.float32)


def _choose_samples(labels: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the positions of the first SAMPLES images of each class, ordered by class, and their labels."""
    chosen = np.concatenate([np.flatnonzero(labels == k)[:SAMPLES] for k in range(num_classes)])
    return chosen, labels[chosen]


def _shrink(images: np.ndarray, size: int) -> np.ndarray:
    """Returns images, uint8 (N, H, W, 3), with at most `size` pixels a side."""
    from PIL import Image

    if not len(images) or images.shape[1] <= size:
        return images
    pictures = (Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC) for image in images)
    return np.stack([np.asarray(picture) for picture in pictures])


def _most_confident_mistakes(labels: np.ndarray, answers: np.ndarray, confidences: np.ndarray) -> np.ndarray:
    """Returns positions, the most confident first; leaves out answers whose confidence is NaN."""
    wrong = np.flatnonzero((answers != labels) & np.isfinite(confidences))
    return wrong[np.argsort(-confidences[wrong], kind="stable")][:MAX_MISTAKES]


def _digest(records: _Records, labels: np.ndarray) -> str:
    digest = hashlib.sha256()
    for block in records.blocks(_BATCH):
        digest.update(records.parse(block).tobytes())
    digest.update(labels.tobytes())
    return digest.hexdigest()


def _digest_files(folder: Path) -> str:
    """Returns a digest of names and contents; the path alone may be another model's after ML Metadata was deleted."""
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(folder)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
