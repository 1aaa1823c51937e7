"""From a loaded SavedModel to TFLite files, and the answers of such a file. Knows no TFX."""

import statistics
import time
from typing import Any

import numpy as np
import tensorflow as tf

from shiftvit import features
from shiftvit.export import PROBABILITIES

# Between the matrix products the network adds and normalises: rounded to 256 steps, that costs more answers than bytes.
_KEPT_IN_FLOAT = ["ADD", "SUB", "MUL", "MEAN", "SQUARED_DIFFERENCE", "RSQRT", "SOFTMAX"]


def to_float(model: Any) -> bytes:
    """Returns the TFLite file, in float32: one image, uint8 (1, 32, 32, 3), to probabilities (1, classes).

    model: what tf.saved_model.load gives.
    """
    return _converter(model).convert()


def to_int8(model: Any, images: np.ndarray) -> bytes:
    """Returns the same with int8 weights and products, whose ranges are those that `images` (N, 32, 32, 3) show."""
    converter = _converter(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=_KEPT_IN_FLOAT)
    chosen = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=converter.representative_dataset, debug_options=options
    )
    return chosen.get_nondebug_quantized_model()


def _converter(model: Any) -> tf.lite.TFLiteConverter:
    signature = [tf.TensorSpec((1, *features.IMAGE_SHAPE), tf.uint8, name=features.IMAGE)]
    answer = tf.function(lambda image: model.answer(image)[PROBABILITIES], input_signature=signature)
    return tf.lite.TFLiteConverter.from_concrete_functions([answer.get_concrete_function()], model)


class LiteModel:
    """A TFLite file that is asked, one image at a time and on one core, as a device would."""

    def __init__(self, content: bytes):
        self._interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input, self._output = (
            details[0]["index"]
            for details in (self._interpreter.get_input_details(), self._interpreter.get_output_details())
        )

    def classes(self, images: np.ndarray) -> tuple[np.ndarray, float]:
        """Returns the class ids (N,) that it answers to images, uint8 (N, 32, 32, 3), and its median milliseconds."""
        answers, seconds = [], []
        for image in images:
            started = time.perf_counter()
            self._interpreter.set_tensor(self._input, image[np.newaxis])
            self._interpreter.invoke()
            answers.append(self._interpreter.get_tensor(self._output)[0].argmax())
            seconds.append(time.perf_counter() - started)
        return np.array(answers), 1000 * statistics.median(seconds)
