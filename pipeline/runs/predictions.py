"""A model's answers to each test image, and sample images, as saved in the run's folder.

Gathering them takes TensorFlow, so the run's own process does that; reading them does not.
"""

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from shiftvit import features, progress
from shiftvit.files import atomic

MAX_MISTAKES = 24  # whose images are saved
SAMPLES = 6  # images saved per class
_BATCH = 500


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
        mistake_images: (M, height, width, 3) uint8.
        sample_images: (S, height, width, 3) uint8, ordered by class.
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
    records, images, labels = _read(examples, features.TEST)
    model_digest, split_digest = _digest_files(Path(model)), _digest(images, labels)
    same = (e for e in map(load, earlier) if e and (e.model, e.split) == (model_digest, split_digest))
    known = next(same, None)
    answers, confidences = (known.answers, known.confidences) if known else _predict(model, records)
    mistakes = _most_confident_mistakes(labels, answers, confidences)
    sample_images, sample_labels = _take_samples(examples)
    return Predictions(
        model=np.array(model_digest),
        split=np.array(split_digest),
        labels=labels,
        answers=answers,
        confidences=confidences,
        mistakes=mistakes,
        mistake_images=images[mistakes],
        sample_images=sample_images,
        sample_labels=sample_labels,
    )


def _read(examples: str, split: str, count: int = -1) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """Returns the first serialized records, their images, uint8 (N, H, W, 3), and their labels, uint16 (N,)."""
    import tensorflow as tf

    from shiftvit.dataset import read_dataset
    from shiftvit.input_pipeline import first_records

    records = first_records(features.split_folder(examples, split), count)
    images, labels = features.parse(tf.constant(records), read_dataset(examples).image_size)
    return records, images.numpy(), labels.numpy().astype(np.uint16)


def _predict(model: str, records: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the answered class ids and their probabilities."""
    import tensorflow as tf

    from shiftvit.export import CLASS_ID, EXAMPLES_INPUT, PROBABILITIES, SERVING_EXAMPLES

    signature = tf.saved_model.load(model).signatures[SERVING_EXAMPLES]
    answers: list[int] = []
    confidences: list[float] = []
    for start in range(0, len(records), _BATCH):
        outputs = signature(**{EXAMPLES_INPUT: tf.constant(records[start : start + _BATCH])})
        answers += outputs[CLASS_ID].numpy().tolist()
        confidences += tf.reduce_max(outputs[PROBABILITIES], axis=-1).numpy().tolist()
        progress.report("answers", len(answers), len(records), "image")
    return np.array(answers, np.uint16), np.array(confidences, np.float32)


def _take_samples(examples: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first SAMPLES images of each class among the first ones, whose order is random, and their labels."""
    from shiftvit.dataset import read_dataset

    num_classes = read_dataset(examples).num_classes
    _, images, labels = _read(examples, features.TRAIN, 100 * num_classes)
    chosen = np.concatenate([np.flatnonzero(labels == k)[:SAMPLES] for k in range(num_classes)])
    return images[chosen], labels[chosen]


def _most_confident_mistakes(labels: np.ndarray, answers: np.ndarray, confidences: np.ndarray) -> np.ndarray:
    """Returns positions, the most confident first; leaves out answers whose confidence is NaN."""
    wrong = np.flatnonzero((answers != labels) & np.isfinite(confidences))
    return wrong[np.argsort(-confidences[wrong], kind="stable")][:MAX_MISTAKES]


def _digest(images: np.ndarray, labels: np.ndarray) -> str:
    return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()


def _digest_files(folder: Path) -> str:
    """Returns a digest of names and contents; the path alone may be another model's after ML Metadata was deleted."""
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(folder)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
