"""Models small enough for a test, exported as the real one is: each reads the class off the first pixel."""

import numpy as np
import tensorflow as tf
from executions import artifact
from tfx.types import standard_artifacts

from shiftvit import features
from shiftvit.export import SERVING_DEFAULT, SERVING_EXAMPLES, ServingModule


class FirstPixel(tf.Module):
    """Answers first byte // 25, which `picture` draws, or one too high where it is to be wrong.

    Args:
        wrong_below: classes below are all answered wrong.
        wrong_grades: so are the images of lower grades, of every class.
        confidence: of each answer, right or wrong.
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
    """Answers NaN alone."""

    def __call__(self, images, training=False):
        return super().__call__(images) * float("nan")


class Slow(FirstPixel):
    """Takes a tenth of a second to answer, however few images it is asked."""

    def __call__(self, images, training=False):
        end = tf.timestamp() + 0.1
        waited = tf.while_loop(lambda _: tf.timestamp() < end, lambda i: (i + 1,), (0,))[0]
        return super().__call__(images) + 0.0 * tf.cast(waited, tf.float32)


def picture(class_id: int, grade: int = 255) -> np.ndarray:
    """Returns the image, uint8 (32, 32, 3), that FirstPixel takes for `class_id` unless it is wrong on that grade."""
    image = np.zeros(features.IMAGE_SHAPE, np.uint8)
    image[:] = 25 * class_id + 5
    image[-1, -1] = grade
    return image


def make(model: tf.Module, folder):
    """Returns the Model artifact of `model`, exported to `folder`."""
    return artifact(standard_artifacts.Model, save(model, folder))


def save(model: tf.Module, folder) -> str:
    """Writes `model` into a Model artifact's folder, as the Trainer does; returns the folder."""
    server = ServingModule(model, features.CLASS_NAMES)
    tf.saved_model.save(
        server,
        str(folder / "Format-Serving"),
        signatures={SERVING_DEFAULT: server.serve_images, SERVING_EXAMPLES: server.serve_examples},
    )
    return str(folder)


def write_examples(folder, count: int) -> str:
    """Writes `count` records as split test of an Examples artifact; returns its folder.

    Classes come in turn, and each has the grades 0, 1, 2 ... in turn.
    """
    split = folder / f"Split-{features.TEST}"
    split.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(split / "data_tfrecord-00000-of-00001")) as writer:
        for index in range(count):
            writer.write(features.encode(picture(index % 10, index // 10), index % 10))
    return str(folder)
