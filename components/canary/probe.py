"""Asks an exported model and judges its answers. Runs as a program, in a process of its own, on TensorFlow alone.

Reads the task, JSON, from standard input:

    model           folder of the SavedModel
    signatures      {"images": ..., "examples": ...}: a name and its input each, [name, input]
    outputs         {"class_name": ..., "class_id": ..., "probabilities": ...}
    images          PNG files, base64
    examples        the serialized records of the same images, base64
    max_latency_ms  milliseconds that a request with one image may take

and writes the verdict, JSON, to the file that its one argument names: `passed`, `reason` and, unless it was refused for
an answer, `latency_ms`, the median time of a request by its number of images.
"""

import base64
import json
import statistics
import sys
import time

import tensorflow as tf

REPETITIONS = 10  # of each timed request
SUM_TOLERANCE = 1e-3


class Refusal(Exception):
    """The model fails; the message is the reason."""


class Client:
    """Calls the signatures of a loaded model, and checks every answer for itself."""

    def __init__(self, task):
        self.outputs = task["outputs"]
        self.names = {}  # class id to class name, as answered so far
        self.model = tf.saved_model.load(task["model"])
        self.signatures = task["signatures"]
        for name, input_name in self.signatures.values():
            if name not in self.model.signatures:
                raise Refusal(f"the model has no signature {name}")
            if input_name not in self.model.signatures[name].structured_input_signature[1]:
                raise Refusal(f"signature {name} has no input {input_name}")

    def send(self, kind, items):
        """Returns the unchecked answers of the signature for `kind` to a list of byte strings."""
        name, input_name = self.signatures[kind]
        return self.model.signatures[name](**{input_name: tf.constant(items, tf.string)})

    def ask(self, kind, items):
        """Returns (class ids, probabilities) as arrays.

        Raises:
            Refusal: when the answers are not well formed.
        """
        name = self.signatures[kind][0]
        answers = self.send(kind, items)
        missing = set(self.outputs.values()) - set(answers)
        if missing:
            raise Refusal(f"{name} does not answer {', '.join(sorted(missing))}")
        class_names, class_ids, probabilities = (
            answers[self.outputs[key]].numpy() for key in ("class_name", "class_id", "probabilities")
        )
        count = len(items)
        if probabilities.ndim != 2 or not len(probabilities) == len(class_ids) == len(class_names) == count:
            raise Refusal(f"{name} does not give one answer for each of {count} images")
        check_probabilities(name, class_ids, probabilities)
        self.check_names(name, class_ids, class_names)
        return class_ids, probabilities

    def check_names(self, name, class_ids, class_names):
        """Raises Refusal unless each class id has had one name, and each name one id, in all answers so far."""
        for class_id, class_name in zip(class_ids.tolist(), class_names.tolist(), strict=True):
            if self.names.setdefault(class_id, class_name) != class_name:
                raise Refusal(f"{name} gives class {class_id} two names, {self.names[class_id]!r} and {class_name!r}")
        if len(set(self.names.values())) < len(self.names):
            raise Refusal(f"{name} gives two classes the same name")


def check_probabilities(name, class_ids, probabilities):
    """Raises Refusal unless each row is a distribution whose greatest entry is at the class id."""
    if not tf.reduce_all(tf.math.is_finite(probabilities)):
        raise Refusal(f"{name} answers probabilities that are not finite")
    if probabilities.min() < 0 or probabilities.max() > 1:
        raise Refusal(f"{name} answers probabilities outside of 0 to 1")
    if abs(probabilities.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise Refusal(f"{name} answers probabilities that do not sum to 1")
    if (probabilities.argmax(axis=1) != class_ids).any():
        raise Refusal(f"{name} answers class ids that are not the most probable ones")


def check_agreement(client, images, examples):
    """Raises Refusal unless both signatures answer exactly alike, in batches of one, two and all."""
    for size in sorted({1, min(2, len(images)), len(images)}):
        ids, probabilities = client.ask("images", images[:size])
        example_ids, example_probabilities = client.ask("examples", examples[:size])
        if (ids != example_ids).any() or (probabilities != example_probabilities).any():
            raise Refusal(
                f"the signatures disagree on the same {size} image{'s' * (size > 1)}, sent as files and as records"
            )


def check_other_images(client, image):
    """Raises Refusal unless a larger PNG of odd sides and a JPEG are answered too."""
    pixels = tf.io.decode_png(image, channels=3)
    larger = tf.cast(tf.image.resize(pixels, (57, 91)), tf.uint8)
    for what, encoded in (("a PNG of 91 x 57 pixels", tf.io.encode_png(larger)), ("a JPEG", tf.io.encode_jpeg(pixels))):
        try:
            client.ask("images", [encoded.numpy()])
        except tf.errors.OpError as error:
            raise Refusal(f"the model does not accept {what}: {first_line(error)}") from error


def check_bad_input(client):
    """Raises Refusal unless bytes that are neither an image nor a record are answered by an error."""
    for kind, (name, _) in client.signatures.items():
        try:
            client.send(kind, [b"neither an image nor a record"])
        except tf.errors.OpError:
            continue
        raise Refusal(f"{name} answers bytes that are no input as if they were one")


def measure(client, images):
    """Returns the median milliseconds of a request with one image and with all."""

    def once(batch):
        start = time.perf_counter()
        client.send("images", batch)
        return 1000 * (time.perf_counter() - start)

    return {
        len(batch): round(statistics.median(once(batch) for _ in range(REPETITIONS)), 2)
        for batch in (images[:1], images)
    }


def judge_latency(latency_ms, images, most):
    """Returns the verdict on a model whose answers are right."""
    passed = latency_ms[1] <= most
    reason = (
        f"answered {images} images alike through every signature"
        if passed
        else f"a request with one image takes {latency_ms[1]:,g} ms (median of {REPETITIONS}), "
        f"above the {most:,g} ms that canary.max_latency_ms allows"
    )
    return {"passed": passed, "reason": reason, "latency_ms": latency_ms}


def judge(task):
    """Returns the verdict on the model of `task`."""
    images, examples = ([base64.b64decode(item) for item in task[key]] for key in ("images", "examples"))
    try:
        client = Client(task)
        check_agreement(client, images, examples)
        check_other_images(client, images[0])
        check_bad_input(client)
        return judge_latency(measure(client, images), len(images), task["max_latency_ms"])
    except Refusal as refusal:
        return {"passed": False, "reason": str(refusal)}
    except (OSError, tf.errors.OpError) as error:
        return {"passed": False, "reason": f"the model cannot be loaded or asked: {first_line(error)}"}


def first_line(error):
    """Returns the first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    for package in ("shiftvit", "tuner", "components", "pipeline"):
        sys.modules[package] = None  # importing one is now an ImportError: the model must serve without them
    verdict = judge(json.load(sys.stdin))
    with open(sys.argv[1], "w") as report:
        json.dump(verdict, report)
