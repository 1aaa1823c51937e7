"""The exported SavedModel: its signatures, their names and their outputs. Loads without any code of this project."""

from collections.abc import Sequence

import tensorflow as tf

from shiftvit import features
from shiftvit.config import ModelConfig
from shiftvit.model import build_model

SERVING_DEFAULT = "serving_default"
SERVING_EXAMPLES = "serving_examples"

IMAGE_BYTES_INPUT = "image_bytes"
EXAMPLES_INPUT = "examples"

CLASS_NAME = "class_name"
CLASS_ID = "class_id"
PROBABILITIES = "probabilities"

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_DECODED_AT_ONCE = 2  # images of a request; each may take the memory of MAX_FILE_PIXELS


class Server(tf.Module):
    """Answers with class names, class ids and probabilities, through the preprocessing that training used."""

    def __init__(self, model: tf.keras.Model, class_names: Sequence[str]):
        super().__init__()
        self.model = model
        self.class_names = tf.constant(list(class_names))

    @tf.function(input_signature=[tf.TensorSpec([None, *features.IMAGE_SHAPE], tf.uint8)])
    def answer(self, images):
        """images: uint8 (N, 32, 32, 3); also for those who load the model and convert it."""
        probabilities = tf.nn.softmax(self.model(images, training=False))
        class_id = tf.argmax(probabilities, axis=-1)
        return {CLASS_NAME: tf.gather(self.class_names, class_id), CLASS_ID: class_id, PROBABILITIES: probabilities}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=IMAGE_BYTES_INPUT)])
    def serve_images(self, image_bytes):
        """image_bytes: PNG or JPEG files of any size (N,)."""
        return self.answer(
            tf.map_fn(
                decode_image,
                image_bytes,
                parallel_iterations=_DECODED_AT_ONCE,
                fn_output_signature=tf.TensorSpec(features.IMAGE_SHAPE, tf.uint8),
            )
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=EXAMPLES_INPUT)])
    def serve_examples(self, examples):
        """examples: serialized records of `features` (N,)."""
        image_spec = {features.IMAGE: features.feature_spec()[features.IMAGE]}  # a client has no label to give
        return self.answer(features.decode_images(tf.io.parse_example(examples, image_spec)[features.IMAGE]))

    @tf.function(input_signature=[])
    def list_classes(self):
        """Returns the class names by class id, for those who load the model and show its probabilities."""
        return self.class_names


def decode_image(encoded):
    """Returns uint8 IMAGE_SHAPE from the bytes of one PNG or JPEG; an image of that size is kept bit for bit.

    Colours become RGB, of 8 bits each; transparency is ignored.

    Raises:
        tf.errors.InvalidArgumentError: when it is no such file, is damaged, or has more than MAX_FILE_PIXELS pixels or
            MAX_FILE_SCANS scans, which its header tells before it is decoded.
    """
    height, width, channels = features.IMAGE_SHAPE
    is_png = tf.equal(tf.strings.substr(encoded, 0, len(_PNG_MAGIC)), _PNG_MAGIC)
    pixels, scans = tf.cond(is_png, lambda: (_png_pixels(encoded), 1), lambda: _jpeg_pixels_and_scans(encoded))
    most_pixels = tf.constant(features.MAX_FILE_PIXELS, tf.int64)
    checks = [
        tf.debugging.assert_less_equal(pixels, most_pixels, "the image has too many pixels"),
        tf.debugging.assert_less_equal(scans, features.MAX_FILE_SCANS, "the image has too many scans"),
    ]
    with tf.control_dependencies(checks):
        image = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
    resized = tf.image.resize(image, (height, width), antialias=True)
    return tf.ensure_shape(tf.cast(tf.round(tf.clip_by_value(resized, 0, 255)), tf.uint8), features.IMAGE_SHAPE)


def _png_pixels(encoded):
    """Width and height are the first that a PNG tells; in int64, or the product of large ones would seem small."""
    head = tf.strings.join([tf.strings.substr(encoded, 0, 24), bytes(24)])  # of a cut one, too: decoding refuses that
    sides = tf.reshape(tf.io.decode_raw(tf.strings.substr(head, 16, 8), tf.uint8), (2, 4))
    return tf.reduce_prod(tf.reduce_sum(tf.cast(sides, tf.int64) * (1 << 24, 1 << 16, 1 << 8, 1), axis=1))


def _jpeg_pixels_and_scans(encoded):
    """Each scan costs a pass over the whole image, however few bytes it has."""
    pixels = tf.reduce_prod(tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64))
    return pixels, tf.size(tf.strings.split(encoded, features.JPEG_SCAN)) - 1


def export(model: tf.keras.Model, config: ModelConfig, class_names: Sequence[str], directory: str) -> None:
    """Writes the SavedModel of `model`, built by `build_model(config)`: in float32, as every server computes alike."""
    serving = build_model(config)
    serving.set_weights(model.get_weights())
    server = Server(serving, class_names)
    tf.saved_model.save(
        server, directory, signatures={SERVING_DEFAULT: server.serve_images, SERVING_EXAMPLES: server.serve_examples}
    )
