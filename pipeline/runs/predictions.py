"""What a run's model answered to each test image, and pictures of its data, as kept in the run's folder.

To gather it takes TensorFlow, and is done where that is loaded, by the process of the run; to read it does not.
"""

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from shiftvit import features, progress
from shiftvit.files import atomic

MOST_MISTAKES = 24  # that are kept as pictures
SAMPLES = 6  # pictures of each class
_BATCH = 500


@dataclass(frozen=True)
class Predictions:
    """Of N test images, of which M mistakes are kept as pictures, the most confident first."""

    model: np.ndarray  # (), a text: the digest of the SavedModel
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


def save(predictions: Predictions, path: Path) -> None:
    """Writes the file, whole or not at all."""
    content = io.BytesIO()
    np.savez_compressed(content, **vars(predictions))
    atomic.write_file(path, content.getvalue())


def load(path: Path) -> Predictions | None:
    """Reads what `save` wrote; None where there is none, as of a run that did not come that far, or one of old."""
    try:
        with np.load(path) as arrays:
            known = set(arrays.files) == {field.name for field in fields(Predictions)}
            return Predictions(**arrays) if known else None
    except FileNotFoundError:
        return None


def gather(model: str, examples: str, earlier: Iterable[Path] = ()) -> Predictions:
    """Asks the model for the whole test split, and takes pictures of the training split.

    Args:
        model: folder of the SavedModel.
        examples: folder of the Examples artifact.
        earlier: files of predictions; answers of the same model to the same images are taken from there.
    """
    records = list(_records(examples, features.TEST).batch(_BATCH))
    images, labels = (np.concatenate(part) for part in zip(*map(features.parse, records), strict=True))
    labels = labels.astype(np.uint8)
    told = {"model": np.array(_digest_files(Path(model))), "split": np.array(_digest(images, labels))}
    known = next((e for e in map(load, earlier) if e and all(vars(e)[name] == told[name] for name in told)), None)
    answers, confidences = (known.answers, known.confidences) if known else _ask(model, records)
    mistakes = _most_confident_mistakes(labels, answers, confidences)
    sample_images, sample_labels = _take_samples(examples)
    return Predictions(
        **told,
        labels=labels,
        answers=answers,
        confidences=confidences,
        mistakes=mistakes,
        mistake_images=images[mistakes],
        sample_images=sample_images,
        sample_labels=sample_labels,
    )


def _ask(model: str, batches: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Returns the answered class ids and their probabilities to serialized records."""
    import tensorflow as tf

    from shiftvit.export import CLASS_ID, EXAMPLES_INPUT, PROBABILITIES, SERVING_EXAMPLES

    answer = tf.saved_model.load(model).signatures[SERVING_EXAMPLES]
    answers, confidences, total = [], [], sum(map(len, batches))
    for records in batches:
        told = answer(**{EXAMPLES_INPUT: records})
        answers += told[CLASS_ID].numpy().tolist()
        confidences += tf.reduce_max(told[PROBABILITIES], axis=-1).numpy().tolist()
        progress.report("answers", len(answers), total, "image")
    return np.array(answers, np.uint8), np.array(confidences, np.float32)


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


def _digest_files(folder: Path) -> str:
    """Tells a model by its content: where ML Metadata was begun anew, the same folders come again with others."""
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(folder)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
