"""From a loaded SavedModel to TFLite files, and the answers of such a file. Knows no TFX."""

import csv
import io
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from shiftvit import features
from shiftvit.export import PROBABILITIES

# What passes on, adds up or normalises the map that all blocks write to: to round that to 256 steps costs more answers
# than it saves bytes.
_MOVING = ("DEPTHWISE_CONV_2D", "RESHAPE", "TRANSPOSE")
_ADDING = ("ADD", "SUB", "MUL", "MEAN", "SQUARED_DIFFERENCE", "RSQRT", "SOFTMAX")
_PRODUCT = "FULLY_CONNECTED"


def to_float(model: Any) -> bytes:
    """Returns the TFLite file, in float32: one image, uint8 (1, 32, 32, 3), to probabilities (1, classes).

    model: what tf.saved_model.load gives.
    """
    return _converter(model).convert()


class Int8:
    """Makes TFLite files with int8 weights and products, whose ranges are those that the calibration images show."""

    def __init__(self, model: Any, images: np.ndarray):
        """model: what tf.saved_model.load gives; images: uint8 (N, 32, 32, 3), for calibration."""
        self._model, self._images = model, images
        self._widest: list[str] | None = None

    def convert(self, spared: int) -> bytes:
        """Returns the file in which as many matrix products, those of the widest range, stay in float32."""
        return self._quantizer(self._find_widest()[:spared] if spared else []).get_nondebug_quantized_model()

    def _quantizer(self, spared: Sequence[str]) -> tf.lite.experimental.QuantizationDebugger:
        converter = _converter(self._model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[np.newaxis]] for image in self._images)
        options = tf.lite.experimental.QuantizationDebugOptions(
            denylisted_ops=[*_MOVING, *_ADDING], denylisted_nodes=list(spared)
        )
        return tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=lambda: [[self._images[:1]]], debug_options=options
        )

    def _find_widest(self) -> list[str]:
        """Returns the names of the products, first those whose values int8 must round most."""
        if self._widest is None:
            quantizer, table = self._quantizer([]), io.StringIO()
            quantizer.run()
            quantizer.layer_statistics_dump(table)
            rows = csv.DictReader(io.StringIO(table.getvalue()))
            products = [(float(row["scale"]), row["tensor_name"]) for row in rows if row["op_name"] == _PRODUCT]
            self._widest = [name for _, name in sorted(products, reverse=True)]
        return self._widest


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
