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


class Server(tf.Module):
    """Answers with class names, class ids and probabilities, through the preprocessing that training used."""

    def __init__(self, model: tf.keras.Model, class_names: Sequence[str]):
        super().__init__()
        self.model = model
        self.class_names = tf.constant(list(class_names))

    def answer(self, images) -> dict[str, tf.Tensor]:
        """images: uint8 (N, 32, 32, 3)."""
        probabilities = tf.nn.softmax(self.model(images, training=False))
        class_id = tf.argmax(probabilities, axis=-1)
        return {CLASS_NAME: tf.gather(self.class_names, class_id), CLASS_ID: class_id, PROBABILITIES: probabilities}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name=IMAGE_BYTES_INPUT)])
    def serve_images(self, image_bytes):
        """image_bytes: PNG or JPEG files of any size (N,)."""
        return self.answer(
            tf.map_fn(decode_image, image_bytes, fn_output_signature=tf.TensorSpec(features.IMAGE_SHAPE, tf.uint8))
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
    """Returns uint8 IMAGE_SHAPE from the bytes of one PNG or JPEG; an image of that size is kept bit for bit."""
    height, width, channels = features.IMAGE_SHAPE
    image = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
    resized = tf.image.resize(image, (height, width), antialias=True)
    return tf.ensure_shape(tf.cast(tf.round(tf.clip_by_value(resized, 0, 255)), tf.uint8), features.IMAGE_SHAPE)


def export(model: tf.keras.Model, config: ModelConfig, class_names: Sequence[str], directory: str) -> None:
    """Writes the SavedModel of `model`, built by `build_model(config)`: in float32, as every server computes alike."""
    serving = build_model(config)
    serving.set_weights(model.get_weights())
    server = Server(serving, class_names)
    tf.saved_model.save(
        server, directory, signatures={SERVING_DEFAULT: server.serve_images, SERVING_EXAMPLES: server.serve_examples}
    )
