"""Tiny models, exported like the real one, that read the class from the first pixel."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from executions import artifact
from known_data import CLASS_NAMES, IMAGE_SHAPE, describe
from tfx.types import standard_artifacts

from shiftvit import features
from shiftvit.export import SERVING_DEFAULT, SERVING_EXAMPLES, ServingModule


class FirstPixel(tf.Module):
    """Predicts first byte // 25, the class that `picture` encodes, or the next class where it has to be wrong.

    Args:
        wrong_below: wrong on all images of classes below this id.
        wrong_grades: wrong on the images of grades below this one, in every class.
        confidence: of each prediction, right or wrong.
    """

    def __init__(self, wrong_below: int = 0, wrong_grades: int = 0, confidence: float = 0.999):
        super().__init__()
        self.wrong_below, self.wrong_grades = tf.Variable(wrong_below), tf.Variable(wrong_grades)
        self.margin = tf.Variable(np.log(9 * confidence / (1 - confidence)), dtype=tf.float32)

    def __call__(self, images, training=False):
        classes, grades = tf.cast(images[:, 0, 0, 0] // 25, tf.int32) % 10, tf.cast(images[:, -1, -1, -1], tf.int32)
        wrong = tf.logical_or(classes < self.wrong_below, grades < self.wrong_grades)
        return self.margin * tf.one_hot((classes + tf.cast(wrong, tf.int32)) % 10, 10)


class NotANumber(FirstPixel):
    """Answers nothing but NaN."""

    def __call__(self, images, training=False):
        return super().__call__(images) * float("nan")


class Slow(FirstPixel):
    """Takes 0.1 seconds per request."""

    def __call__(self, images, training=False):
        end = tf.timestamp() + 0.1
        waited = tf.while_loop(lambda _: tf.timestamp() < end, lambda i: (i + 1,), (0,))[0]
        return super().__call__(images) + 0.0 * tf.cast(waited, tf.float32)


def picture(class_id: int, grade: int = 255) -> np.ndarray:
    """Returns an image, uint8 (32, 32, 3), of the class, with a grade from 0 to 255 for FirstPixel."""
    image = np.zeros(IMAGE_SHAPE, np.uint8)
    image[:] = 25 * class_id + 5
    image[-1, -1] = grade
    return image


def make(model: tf.Module, folder):
    """Exports `model` to `folder`; returns its Model artifact."""
    return artifact(standard_artifacts.Model, save(model, folder))


def save(model: tf.Module, folder) -> str:
    """Exports `model` to the folder of a Model artifact, as the Trainer does; returns the folder."""
    server = ServingModule(model, CLASS_NAMES, 32)
    tf.saved_model.save(
        server,
        str(folder / "Format-Serving"),
        signatures={SERVING_DEFAULT: server.serve_images, SERVING_EXAMPLES: server.serve_examples},
    )
    return str(folder)


def write_examples(folder, count: int, labels=range(10)) -> str:
    """Writes `count` records as split test of an Examples artifact; returns its folder.

    The first ten images have grade 0, the next ten grade 1, and so on. Their classes repeat `labels`.
    """
    split = Path(features.split_folder(folder, features.TEST))
    split.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(split / "data_tfrecord-00000-of-00001")) as writer:
        for index in range(count):
            label = labels[index % len(labels)]
            writer.write(features.encode(picture(label, index // 10), label))
    describe(Path(folder))
    return str(folder)
