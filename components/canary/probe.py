"""Tests an exported model and judges its responses. Runs as a program in a process of its own, on TensorFlow alone.

Reads the task as JSON from standard input:

    model           folder of the SavedModel
    signatures      {"images": ..., "examples": ...}: for each, [name, name of its input]
    outputs         names of the class name, the class id and the probabilities in the responses
    images          PNG files, base64
    examples        serialized records of the same images, base64
    max_latency_ms  limit of the median latency of a request with one image

Writes the verdict as JSON to the file named by its only argument: `passed`, `reason` and, unless a response was wrong,
`latency_ms`, the median latency of a request by its number of images.
"""

import base64
import functools
import json
import statistics
import sys
import timeit
from typing import Any

import numpy as np
import tensorflow as tf

REPETITIONS = 10  # of each timed request
SUM_TOLERANCE = 1e-3


class Refusal(Exception):
    """The model fails a check; the message is the reason."""


class Client:
    """Calls the signatures of a loaded model and checks every response."""

    def __init__(self, task: dict[str, Any]):
        self.outputs = task["outputs"]
        self.names: dict[int, bytes] = {}  # class id to class name, from all responses so far
        self.model = tf.saved_model.load(task["model"])
        self.signatures = task["signatures"]
        for name, input_name in self.signatures.values():
            if name not in self.model.signatures:
                raise Refusal(f"the model has no signature {name}")
            if input_name not in self.model.signatures[name].structured_input_signature[1]:
                raise Refusal(f"signature {name} has no input {input_name}")

    def send(self, kind: str, items: list[bytes]) -> dict[str, tf.Tensor]:
        """Returns the response, unchecked, of the signature for `kind` (images or examples)."""
        name, input_name = self.signatures[kind]
        return self.model.signatures[name](**{input_name: tf.constant(items, tf.string)})

    def classify(self, kind: str, items: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Returns class ids (N,) and probabilities (N, classes) from a checked response.

        Raises:
            Refusal: if the response is malformed.
        """
        name = self.signatures[kind][0]
        response = self.send(kind, items)
        missing = set(self.outputs) - set(response)
        if missing:
            raise Refusal(f"{name} lacks the output {', '.join(sorted(missing))}")
        class_names, class_ids, probabilities = (response[output].numpy() for output in self.outputs)
        count = len(items)
        if probabilities.ndim != 2 or not len(probabilities) == len(class_ids) == len(class_names) == count:
            raise Refusal(f"{name} does not return one result for each of {count} images")
        check_probabilities(name, class_ids, probabilities)
        self.check_names(name, class_ids, class_names)
        return class_ids, probabilities

    def check_names(self, name: str, class_ids: np.ndarray, class_names: np.ndarray) -> None:
        """Raises Refusal unless class ids and class names correspond one to one in all responses so far."""
        for class_id, class_name in zip(class_ids.tolist(), class_names.tolist(), strict=True):
            if self.names.setdefault(class_id, class_name) != class_name:
                raise Refusal(f"{name} gives class {class_id} two names, {self.names[class_id]!r} and {class_name!r}")
        if len(set(self.names.values())) < len(self.names):
            raise Refusal(f"{name} gives two classes the same name")


def check_probabilities(name: str, class_ids: np.ndarray, probabilities: np.ndarray) -> None:
    """Raises Refusal unless each row is a distribution that peaks at the class id."""
    if not tf.reduce_all(tf.math.is_finite(probabilities)):
        raise Refusal(f"{name} returns probabilities that are not finite")
    if probabilities.min() < 0 or probabilities.max() > 1:
        raise Refusal(f"{name} returns probabilities outside 0 to 1")
    if abs(probabilities.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise Refusal(f"{name} returns probabilities that do not sum to 1")
    if (probabilities.argmax(axis=1) != class_ids).any():
        raise Refusal(f"{name} returns class ids that are not the most probable ones")


def check_agreement(client: Client, images: list[bytes], examples: list[bytes]) -> None:
    """Raises Refusal unless both signatures return exactly the same, in batches of one, two and all images."""
    for size in sorted({1, min(2, len(images)), len(images)}):
        ids, probabilities = client.classify("images", images[:size])
        example_ids, example_probabilities = client.classify("examples", examples[:size])
        if (ids != example_ids).any() or (probabilities != example_probabilities).any():
            raise Refusal(
                f"the signatures disagree on the same {size} image{'s' * (size > 1)}, sent as files and as records"
            )


def check_other_formats(client: Client, image: bytes) -> None:
    """Raises Refusal unless the model accepts a PNG of another size, with odd sides, and a JPEG."""
    pixels = tf.io.decode_png(image, channels=3)
    other = tf.cast(tf.image.resize(pixels, (57, 91)), tf.uint8)
    for kind, encoded in (("a PNG of 91 x 57 pixels", tf.io.encode_png(other)), ("a JPEG", tf.io.encode_jpeg(pixels))):
        try:
            client.classify("images", [encoded.numpy()])
        except tf.errors.OpError as error:
            raise Refusal(f"the model does not accept {kind}: {first_line(error)}") from error


def check_bad_input(client: Client) -> None:
    """Raises Refusal unless both signatures reject bytes that are neither an image nor a record."""
    for kind, (name, _) in client.signatures.items():
        try:
            client.send(kind, [b"neither an image nor a record"])
        except tf.errors.OpError:
            continue
        raise Refusal(f"{name} accepts bytes that are no valid input")


def measure_latency(client: Client, images: list[bytes]) -> dict[int, float]:
    """Returns the median latency in milliseconds of a request with one image and of one with all, by size."""
    latency_ms = {}
    for batch in (images[:1], images):
        seconds = timeit.repeat(functools.partial(client.send, "images", batch), number=1, repeat=REPETITIONS)
        latency_ms[len(batch)] = round(1000 * statistics.median(seconds), 2)
    return latency_ms


def judge_latency(latency_ms: dict[int, float], images: int, max_latency_ms: float) -> dict[str, Any]:
    """Returns the verdict on a model whose responses are right."""
    passed = latency_ms[1] <= max_latency_ms
    reason = (
        f"both signatures returned the same for {images} images"
        if passed
        else f"a request with one image takes {latency_ms[1]:,g} ms (median of {REPETITIONS}), "
        f"above the {max_latency_ms:,g} ms that canary.max_latency_ms allows"
    )
    return {"passed": passed, "reason": reason, "latency_ms": latency_ms}


def judge(task: dict[str, Any]) -> dict[str, Any]:
    """Returns the verdict on the model of `task`."""
    images, examples = ([base64.b64decode(item) for item in task[key]] for key in ("images", "examples"))
    try:
        client = Client(task)
        check_agreement(client, images, examples)
        check_other_formats(client, images[0])
        check_bad_input(client)
        return judge_latency(measure_latency(client, images), len(images), task["max_latency_ms"])
    except Refusal as refusal:
        return {"passed": False, "reason": str(refusal)}
    except (OSError, tf.errors.OpError) as error:
        return {"passed": False, "reason": f"the model cannot be loaded or called: {first_line(error)}"}


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    for package in ("shiftvit", "tuner", "components", "pipeline"):
        sys.modules[package] = None  # type: ignore[assignment]  # the model must serve without our code: imports fail
    verdict = judge(json.load(sys.stdin))
    with open(sys.argv[1], "w", encoding="utf-8") as report:
        json.dump(verdict, report)
