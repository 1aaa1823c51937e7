import json
import shutil

import executions
import numpy as np
import pytest
import tensorflow as tf
import toy_models
from judging import push, try_out
from tfx import types
from tfx.types import standard_artifacts
from waiting import HANG_SECONDS

from components.canary import executor, probe
from components.canary.component import Canary
from shiftvit.errors import DataError, UserError


class TwoMinded(toy_models.FirstPixel):
    """Answers more firmly each time that it is asked, through whichever signature."""

    def __init__(self):
        super().__init__()
        self.asked = tf.Variable(0.0)

    def __call__(self, images, training=False):
        return super().__call__(images) * self.asked.assign_add(1.0)


class Endless(toy_models.FirstPixel):
    def __call__(self, images, training=False):
        zero = tf.while_loop(lambda i: i < 1.0, lambda i: (i * 1.0,), [tf.constant(0.0)])[0]
        return super().__call__(images) + zero


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return executions.examples(toy_models.write_examples(tmp_path_factory.mktemp("examples"), 20), ["test"])


def test_a_model_that_serves_is_blessed_and_the_stock_pusher_pushes_it(tmp_path, examples):
    model = toy_models.make(toy_models.FirstPixel(), tmp_path / "model")

    blessing = try_out(tmp_path, examples, model)

    report = json.loads((tmp_path / "infra_blessing" / executor.REPORT).read_text())
    assert (tmp_path / "infra_blessing" / "INFRA_BLESSED").exists(), report
    assert executor.explain(blessing.uri) == "answered 12 images alike through every signature"
    assert set(report["latency_ms"]) == {"1", "12"} and min(report["latency_ms"].values()) > 0
    assert executor.read_latency(blessing.uri) == report["latency_ms"]
    assert len(push(tmp_path, model, infra_blessing=blessing)) == 1


def test_a_model_that_answers_nan_is_refused_and_the_stock_pusher_leaves_it(tmp_path, examples):
    model = toy_models.make(toy_models.NotANumber(), tmp_path / "model")

    blessing = try_out(tmp_path, examples, model)

    assert (tmp_path / "infra_blessing" / "INFRA_NOT_BLESSED").exists()
    assert executor.explain(blessing.uri) == "serving_default answers probabilities that are not finite"
    assert executor.read_latency(blessing.uri) == {}
    assert push(tmp_path, model, infra_blessing=blessing) == []


def test_signatures_that_disagree_are_refused(tmp_path, examples):
    blessing = try_out(tmp_path, examples, toy_models.make(TwoMinded(), tmp_path / "model"))

    assert executor.explain(blessing.uri).startswith("the signatures disagree on the same 1 image")
    assert blessing.get_int_custom_property("blessed") == 0


def test_a_model_that_answers_what_is_no_image_is_refused(tmp_path, examples):
    class Anything(tf.Module):
        def answer(self, items):
            count = tf.size(items)
            return {
                "class_name": tf.repeat("cat", count),
                "class_id": tf.zeros(count, tf.int64),
                "probabilities": tf.one_hot(tf.zeros(count, tf.int32), 10),
            }

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
        def images(self, image_bytes):
            return self.answer(image_bytes)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def examples(self, examples):
            return self.answer(examples)

    module, model = Anything(), standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    tf.saved_model.save(
        module,
        str(tmp_path / "model" / "Format-Serving"),
        signatures={"serving_default": module.images, "serving_examples": module.examples},
    )

    blessing = try_out(tmp_path, examples, model)

    assert executor.explain(blessing.uri) == "serving_default answers bytes that are no input as if they were one"


@pytest.mark.parametrize(
    "reason, probabilities, class_id",
    [
        ("not finite", [np.inf, 0.5], 0),
        ("outside of 0 to 1", [1.5, -0.5], 0),
        ("do not sum to 1", [0.5, 0.4], 0),
        ("not the most probable", [0.6, 0.4], 1),
    ],
)
def test_answers_that_are_no_distribution_are_refused(reason, probabilities, class_id):
    with pytest.raises(probe.Refusal, match=reason):
        probe.check_probabilities("serving_default", np.array([class_id]), np.array([probabilities]))


def test_the_node_takes_a_model_and_examples_and_gives_an_infra_blessing():
    node = Canary(
        model=types.Channel(standard_artifacts.Model),
        examples=types.Channel(standard_artifacts.Examples),
        images=5,
        timeout=60,
        max_latency_ms=20.0,
    )

    assert node.id == "Canary"
    assert node.exec_properties == {"images": 5, "timeout": 60, "max_latency_ms": 20.0}
    assert node.outputs["blessing"].type is standard_artifacts.InfraBlessing


def test_a_model_that_never_answers_is_refused_in_time(tmp_path, examples):
    blessing = try_out(tmp_path, examples, toy_models.make(Endless(), tmp_path / "model"), timeout=8)

    assert executor.explain(blessing.uri) == "the process that asks the model did not end within 8 seconds"
    assert blessing.get_int_custom_property("blessed") == 0


def test_a_model_without_its_variables_is_refused(tmp_path, examples):
    model = toy_models.make(toy_models.FirstPixel(), tmp_path / "model")
    shutil.rmtree(tmp_path / "model" / "Format-Serving" / "variables")

    blessing = try_out(tmp_path, examples, model)

    assert executor.explain(blessing.uri).startswith("the model cannot be loaded or asked: ")
    assert blessing.get_int_custom_property("blessed") == 0


def test_a_probe_that_breaks_is_a_refusal_with_its_last_words():
    verdict = executor._run_probe({}, timeout=HANG_SECONDS)

    assert verdict == {
        "passed": False,
        "reason": "the process that asks the model ended with code 1, saying: KeyError: 'images'",
    }


def test_a_probe_that_is_killed_says_nothing_of_the_model(tmp_path, examples, monkeypatch):
    """As where memory runs out for others' sake: a refusal would be kept, and the model never be pushed."""
    (tmp_path / "probe.py").write_text("import os; os.kill(os.getpid(), 9)")
    monkeypatch.setattr(executor, "_PROBE", tmp_path / "probe.py")

    with pytest.raises(UserError, match=r"was killed by SIGKILL.* memory .*; the same command tries it again"):
        try_out(tmp_path, examples, toy_models.make(toy_models.FirstPixel(), tmp_path / "model"))

    assert not (tmp_path / "infra_blessing").exists()


def test_an_empty_test_split_is_bad_data(tmp_path):
    empty = executions.examples(toy_models.write_examples(tmp_path / "examples", 0), ["test"])

    with pytest.raises(DataError, match="Split-test: holds no records"):
        try_out(tmp_path, empty, toy_models.make(toy_models.FirstPixel(), tmp_path / "model"))
