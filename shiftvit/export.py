"""The exported SavedModel: its signatures and their inputs and outputs. It loads without this project's code."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from shiftvit import features
from shiftvit.config import ModelConfig, Resize
from shiftvit.dataset import DATASET_FILE, EXTRA_FOLDER, DatasetInfo
from shiftvit.files import paths
from shiftvit.image_container import JPEG_SCAN, MAX_FILE_PIXELS, MAX_FILE_SCANS
from shiftvit.model import build_model
from shiftvit.tracing import function

SERVING_DEFAULT = "serving_default"
SERVING_EXAMPLES = "serving_examples"

IMAGE_BYTES_INPUT = "image_bytes"
EXAMPLES_INPUT = "examples"

CLASS_NAME = "class_name"
CLASS_ID = "class_id"
PROBABILITIES = "probabilities"

Outputs = dict[str, tf.Tensor]  # CLASS_NAME (N,), CLASS_ID (N,) and PROBABILITIES (N, classes)

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PARALLEL_DECODES = 2  # images of a request decoded at once; each may need memory for MAX_FILE_PIXELS


class ServingModule(tf.Module):
    """A classifier with the preprocessing of training: returns class names, class ids and probabilities."""

    def __init__(
        self, model: tf.keras.Model, class_names: Sequence[str], image_size: int, resize: Resize = "crop"
    ) -> None:
        super().__init__()
        self._size, self._resize = image_size, resize  # of the stored images
        # Only the variables are tracked. For a tracked layer, Keras would save functions of its own.
        # Nothing calls them, and they take most of the time of saving and loading.
        self.weights = model.variables
        self._logits = lambda images: model(images, training=False)
        self.class_names = tf.constant(list(class_names))
        images = tf.TensorSpec([None, *features.image_shape(image_size)], tf.uint8)
        self.answer = function(self._answer, input_signature=[images])  # no signature, but callable after loading

    def _answer(self, images: tf.Tensor) -> Outputs:
        """Classifies images, uint8 (N, size, size, 3)."""
        probabilities = tf.nn.softmax(self._logits(images))
        class_id = tf.argmax(probabilities, axis=-1)
        return {CLASS_NAME: tf.gather(self.class_names, class_id), CLASS_ID: class_id, PROBABILITIES: probabilities}

    @function(input_signature=[tf.TensorSpec([None], tf.string, name=IMAGE_BYTES_INPUT)])
    def serve_images(self, image_bytes: tf.Tensor) -> Outputs:
        """Classifies the contents of PNG or JPEG files of any size, a string tensor (N,)."""
        images = tf.map_fn(
            lambda encoded: decode_image(encoded, self._size),
            image_bytes,
            parallel_iterations=_PARALLEL_DECODES,
            fn_output_signature=tf.TensorSpec(features.image_shape(self._size), tf.uint8),
        )
        return self.answer(images)

    @function(input_signature=[tf.TensorSpec([None], tf.string, name=EXAMPLES_INPUT)])
    def serve_examples(self, examples: tf.Tensor) -> Outputs:
        """Classifies serialized records (see `features`), a string tensor (N,)."""
        image_spec = {features.IMAGE: features.feature_spec()[features.IMAGE]}  # clients have no labels
        return self.answer(
            features.decode_images(tf.io.parse_example(examples, image_spec)[features.IMAGE], self._size)
        )

    @function(input_signature=[])
    def list_classes(self) -> tf.Tensor:
        """Returns the class names by class id. Not a signature, but callable after loading the SavedModel."""
        return self.class_names

    @function(input_signature=[])
    def resize_mode(self) -> tf.Tensor:
        """Returns how image files that are not square become so. Not a signature, but callable after loading."""
        return tf.constant(self._resize)


def load(folder: str | os.PathLike) -> Any:
    """Loads an exported SavedModel from a folder of any name."""
    return tf.saved_model.load(paths.plain(folder))


def answer_of(loaded: Any) -> tuple[Callable[[tf.Tensor], Outputs], int]:
    """Returns `answer` of a loaded SavedModel, and the size of the square images that it takes, in pixels a side."""
    (function,) = loaded.answer.concrete_functions
    (images,), _ = function.structured_input_signature
    return function, images.shape[1]


def resize_of(loaded: Any) -> Resize:
    """Returns how images that are not square become so for a loaded SavedModel; those of earlier code crop them."""
    return loaded.resize_mode().numpy().decode() if hasattr(loaded, "resize_mode") else "crop"


def decode_image(encoded: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes a PNG or JPEG file, a string scalar, to RGB, uint8 (size, size, 3).

    Unlike `pixels.decode`, it runs in any TensorFlow server, and it reads no EXIF orientation, ignores transparency and
    stretches an image of another size.

    Raises:
        tf.errors.InvalidArgumentError: if it is another kind of file, is damaged, or has more than MAX_FILE_PIXELS
            pixels or MAX_FILE_SCANS scans, which is checked before anything is decoded.
    """
    is_png = tf.equal(tf.strings.substr(encoded, 0, len(_PNG_MAGIC)), _PNG_MAGIC)
    pixels, scans = tf.cond(is_png, lambda: (_png_pixels(encoded), 1), lambda: _jpeg_pixels_and_scans(encoded))
    max_pixels = tf.constant(MAX_FILE_PIXELS, tf.int64)
    checks = [
        tf.debugging.assert_less_equal(pixels, max_pixels, "the image has too many pixels"),
        tf.debugging.assert_less_equal(scans, MAX_FILE_SCANS, "the image has too many scans"),
    ]
    with tf.control_dependencies(checks):
        image = tf.io.decode_image(encoded, channels=features.CHANNELS, expand_animations=False)
    resized = tf.image.resize(image, (size, size), antialias=True)
    return tf.ensure_shape(tf.cast(tf.round(tf.clip_by_value(resized, 0, 255)), tf.uint8), features.image_shape(size))


def _png_pixels(encoded: tf.Tensor) -> tf.Tensor:
    """Returns width times height from the header of a PNG, in int64, so that large sizes do not overflow."""
    header = tf.strings.join([tf.strings.substr(encoded, 0, 24), bytes(24)])  # pads truncated files; decoding fails
    sides = tf.reshape(tf.io.decode_raw(tf.strings.substr(header, 16, 8), tf.uint8), (2, 4))
    return tf.reduce_prod(tf.reduce_sum(tf.cast(sides, tf.int64) * (1 << 24, 1 << 16, 1 << 8, 1), axis=1))


def _jpeg_pixels_and_scans(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns width times height and the number of scans; each scan costs a pass over the image, however short."""
    pixels = tf.reduce_prod(tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], tf.int64))
    return pixels, tf.size(tf.strings.split(encoded, JPEG_SCAN)) - 1


def export(model: tf.keras.Model, config: ModelConfig, dataset: DatasetInfo, directory: str) -> None:
    """Writes a SavedModel in float32, in which all servers compute alike.

    Args:
        model: built by `build_model(config, dataset)` with any precision; frozen layers become trainable.
        config: of the model.
        dataset: that it was trained on.
        directory: to write to.
    """
    serving = build_model(config, dataset)
    model.trainable = True  # Keras lists the weights of frozen layers in another order
    serving.set_weights(model.get_weights())
    server = ServingModule(serving, dataset.class_names, dataset.image_size, dataset.resize)
    tf.io.gfile.makedirs(f"{directory}/{EXTRA_FOLDER}")
    signatures = {SERVING_DEFAULT: server.serve_images, SERVING_EXAMPLES: server.serve_examples}
    tf.saved_model.save(server, paths.plain(directory), signatures=signatures)
    with tf.io.gfile.GFile(f"{directory}/{EXTRA_FOLDER}/{DATASET_FILE}", "w") as file:
        file.write(dataset.to_json())
