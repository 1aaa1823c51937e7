"""Models small enough for a test, exported as the real one is: each reads the class off the first pixel."""

import numpy as np
import tensorflow as tf

from shiftvit import features
from shiftvit.export import SERVING_DEFAULT, SERVING_EXAMPLES, Server


class FirstPixel(tf.Module):
    """Answers first byte // 25, which `picture` draws; classes below `wrong_below` are answered one too high."""

    def __init__(self, wrong_below: int = 0):
        super().__init__()
        self.weights = tf.Variable(
            10.0 * np.roll(np.eye(10), 1, axis=1) * (np.arange(10) < wrong_below)[:, None]
            + 10.0 * np.eye(10) * (np.arange(10) >= wrong_below)[:, None],
            dtype=tf.float32,
        )

    def __call__(self, images, training=False):
        return tf.gather(self.weights, tf.cast(images[:, 0, 0, 0] // 25, tf.int32) % 10)


def picture(class_id: int) -> np.ndarray:
    """Returns the image, uint8 (32, 32, 3), that FirstPixel takes for `class_id`."""
    image = np.zeros(features.IMAGE_SHAPE, np.uint8)
    image[:] = 25 * class_id + 5
    return image


def save(model: tf.Module, folder) -> str:
    """Writes `model` into a Model artifact's folder, as the Trainer does; returns the folder."""
    server = Server(model, features.CLASS_NAMES)
    tf.saved_model.save(
        server,
        str(folder / "Format-Serving"),
        signatures={SERVING_DEFAULT: server.serve_images, SERVING_EXAMPLES: server.serve_examples},
    )
    return str(folder)


def write_examples(folder, count: int) -> str:
    """Writes `count` records, the classes in turn, as split test of an Examples artifact; returns its folder."""
    split = folder / f"Split-{features.TEST}"
    split.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(split / "data_tfrecord-00000-of-00001")) as writer:
        for index in range(count):
            writer.write(features.encode(picture(index % 10), index % 10))
    return str(folder)
