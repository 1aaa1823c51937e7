"""Converts a loaded SavedModel to TFLite files, and runs such a file. Imports no TFX."""

import csv
import io
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from components.lite.interpreter import Interpreter
from shiftvit import features
from shiftvit.export import PROBABILITIES, answer_of

# Operations on the residual map, which every block writes to, stay in float32: rounding them to 256 steps costs more
# accuracy than it saves bytes.
_MOVING = ("DEPTHWISE_CONV_2D", "RESHAPE", "TRANSPOSE")
_ADDING = ("ADD", "SUB", "MUL", "MEAN", "SQUARED_DIFFERENCE", "RSQRT", "SOFTMAX")
_PRODUCT = "FULLY_CONNECTED"


def to_float(model: Any) -> bytes:
    """Returns a float32 TFLite file, from one image, uint8 (1, size, size, 3), to probabilities (1, classes)."""
    return _converter(model).convert()


class Int8:
    """Converts a model to TFLite files with int8 weights and matrix products, calibrated with images."""

    def __init__(self, model: Any, images: np.ndarray) -> None:
        """Takes a loaded SavedModel, and images uint8 (N, size, size, 3) for calibration."""
        self._model, self._images = model, images
        self._widest: list[str] | None = None

    def convert(self, float32_products: int) -> bytes:
        """Returns a file that computes this many matrix products, those with the widest ranges, in float32."""
        names = self._find_widest()[:float32_products] if float32_products else []
        return self._quantizer(names).get_nondebug_quantized_model()

    def _quantizer(self, float32_names: Sequence[str]) -> tf.lite.experimental.QuantizationDebugger:
        converter = _converter(self._model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[np.newaxis]] for image in self._images)
        options = tf.lite.experimental.QuantizationDebugOptions(
            denylisted_ops=[*_MOVING, *_ADDING], denylisted_nodes=list(float32_names)
        )
        return tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=lambda: [[self._images[:1]]], debug_options=options
        )

    def _find_widest(self) -> list[str]:
        """Returns the names of the matrix products, those that int8 rounds most first."""
        if self._widest is None:
            quantizer, table = self._quantizer([]), io.StringIO()
            quantizer.run()
            quantizer.layer_statistics_dump(table)
            rows = csv.DictReader(io.StringIO(table.getvalue()))
            products = [(float(row["scale"]), row["tensor_name"]) for row in rows if row["op_name"] == _PRODUCT]
            self._widest = [name for _, name in sorted(products, reverse=True)]
        return self._widest


def _converter(model: Any) -> tf.lite.TFLiteConverter:
    _, size = answer_of(model)
    signature = [tf.TensorSpec((1, *features.image_shape(size)), tf.uint8, name=features.IMAGE)]
    classify = tf.function(lambda image: model.answer(image)[PROBABILITIES], input_signature=signature)
    return tf.lite.TFLiteConverter.from_concrete_functions([classify.get_concrete_function()], model)


class LiteModel:
    """A TFLite file, run on one image at a time and on one core, as a device would."""

    def __init__(self, content: bytes) -> None:
        self._interpreter = Interpreter(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def classes(self, images: np.ndarray) -> tuple[np.ndarray, float]:
        """Returns class ids (N,) for images uint8 (N, size, size, 3), and the median milliseconds per image."""
        class_ids, seconds = [], []
        for image in images:
            started = time.perf_counter()
            self._interpreter.set_tensor(self._input, image[np.newaxis])
            self._interpreter.invoke()
            class_ids.append(self._interpreter.get_tensor(self._output)[0].argmax())
            seconds.append(time.perf_counter() - started)
        return np.array(class_ids), 1000 * statistics.median(seconds)
