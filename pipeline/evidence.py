"""What a run's model answered to each test image, and pictures of its data, as kept in the run's folder.

To gather it takes TensorFlow, and is done where that is loaded, by the process of the run; to read it does not.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shiftvit import features, whole

MOST_MISTAKES = 24  # that are kept as pictures
SAMPLES = 6  # pictures of each class
_BATCH = 500


@dataclass(frozen=True)
class Evidence:
    """Of N test images, of which M mistakes are kept as pictures, the most confident first."""

    split: np.ndarray  # (), a text: the digest of the test split, images and labels in their order
    labels: np.ndarray  # (N,) uint8: true class ids
    answers: np.ndarray  # (N,) uint8: answered ones
    confidences: np.ndarray  # (N,) float32: the probability of each answer
    mistakes: np.ndarray  # (M,) int64: positions in the test split
    mistake_images: np.ndarray  # (M, 32, 32, 3) uint8
    sample_images: np.ndarray  # (S, 32, 32, 3) uint8, of split train, in the order of their classes
    sample_labels: np.ndarray  # (S,) uint8

    @property
    def right(self) -> np.ndarray:
        """Whether each answer is right, (N,) bool."""
        return self.answers == self.labels


def save(evidence: Evidence, path: Path) -> None:
    """Writes the file, whole or not at all."""
    content = io.BytesIO()
    np.savez_compressed(content, **vars(evidence))
    whole.write_file(path, content.getvalue())


def load(path: Path) -> Evidence | None:
    """Reads what `save` wrote; None where there is none, as of a run that did not come that far."""
    try:
        with np.load(path) as arrays:
            return Evidence(**arrays)
    except FileNotFoundError:
        return None


def gather(model: str, examples: str) -> Evidence:
    """Asks the model for the whole test split, and takes pictures of the training split.

    Args:
        model: folder of the SavedModel.
        examples: folder of the Examples artifact.
    """
    images, labels, answers, confidences = _ask(model, examples)
    mistakes = _most_confident_mistakes(labels, answers, confidences)
    sample_images, sample_labels = _take_samples(examples)
    return Evidence(
        np.array(_digest(images, labels)),
        labels,
        answers,
        confidences,
        mistakes,
        images[mistakes],
        sample_images,
        sample_labels,
    )


def _ask(model: str, examples: str) -> tuple[np.ndarray, ...]:
    import tensorflow as tf

    from shiftvit.export import CLASS_ID, EXAMPLES_INPUT, PROBABILITIES, SERVING_EXAMPLES

    answer = tf.saved_model.load(model).signatures[SERVING_EXAMPLES]
    parts = []
    for records in _records(examples, features.TEST).batch(_BATCH):
        told = answer(**{EXAMPLES_INPUT: records})
        parts.append((*features.parse(records), told[CLASS_ID], tf.reduce_max(told[PROBABILITIES], axis=-1)))
    images, *others = (np.concatenate(column) for column in zip(*parts, strict=True))
    return images, *(part.astype(kind) for part, kind in zip(others, (np.uint8, np.uint8, np.float32), strict=True))


def _take_samples(examples: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first SAMPLES images of each class among the first thousand or so, whose order is that of chance."""
    batch = next(iter(_records(examples, features.TRAIN).batch(100 * features.NUM_CLASSES)))
    images, labels = (part.numpy() for part in features.parse(batch))
    chosen = np.concatenate([np.flatnonzero(labels == k)[:SAMPLES] for k in range(features.NUM_CLASSES)])
    return images[chosen], labels[chosen].astype(np.uint8)


def _records(examples: str, split: str):
    import tensorflow as tf

    return tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(f"{examples}/Split-{split}/*")))


def _most_confident_mistakes(labels: np.ndarray, answers: np.ndarray, confidences: np.ndarray) -> np.ndarray:
    """Returns the positions of those whose confidence is a number."""
    wrong = np.flatnonzero((answers != labels) & np.isfinite(confidences))
    return wrong[np.argsort(-confidences[wrong], kind="stable")][:MOST_MISTAKES]


def _digest(images: np.ndarray, labels: np.ndarray) -> str:
    return hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
