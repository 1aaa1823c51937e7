import shutil

import executions
import numpy as np
import pytest
import tensorflow as tf
import toy_models
from judging import push, run_canary
from tfx import types
from tfx.types import standard_artifacts
from waiting import HANG_SECONDS

from components.canary import component, probe
from components.canary.report import CanaryReport, read_report
from shiftvit.errors import DataError, UserError


class Inconsistent(toy_models.FirstPixel):
    """Grows more confident with every request, through either signature."""

    def __init__(self):
        super().__init__()
        self.requests = tf.Variable(0.0)

    def __call__(self, images, training=False):
        return super().__call__(images) * self.requests.assign_add(1.0)


class Endless(toy_models.FirstPixel):
    def __call__(self, images, training=False):
        zero = tf.while_loop(lambda i: i < 1.0, lambda i: (i * 1.0,), [tf.constant(0.0)])[0]
        return super().__call__(images) + zero


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return executions.examples(toy_models.write_examples(tmp_path_factory.mktemp("examples"), 20), ["test"])


def test_good_model_is_blessed_and_tfx_pusher_pushes_it(tmp_path, examples):
    model = toy_models.make(toy_models.FirstPixel(), tmp_path / "model")

    blessing = run_canary(tmp_path, examples, model)

    report = read_report(blessing.uri)
    assert (tmp_path / "infra_blessing" / "INFRA_BLESSED").exists(), report
    assert (report.passed, report.reason) == (True, "both signatures returned the same for 12 images")
    assert set(report.latency_ms) == {"1", "12"} and min(report.latency_ms.values()) > 0
    assert len(push(tmp_path, model, infra_blessing=blessing)) == 1


def test_model_that_answers_nan_is_refused_and_tfx_pusher_leaves_it(tmp_path, examples):
    model = toy_models.make(toy_models.NotANumber(), tmp_path / "model")

    blessing = run_canary(tmp_path, examples, model)

    assert (tmp_path / "infra_blessing" / "INFRA_NOT_BLESSED").exists()
    assert read_report(blessing.uri) == CanaryReport(False, "serving_default returns probabilities that are not finite")
    assert push(tmp_path, model, infra_blessing=blessing) == []


def test_model_whose_signatures_disagree_is_refused(tmp_path, examples):
    blessing = run_canary(tmp_path, examples, toy_models.make(Inconsistent(), tmp_path / "model"))

    assert read_report(blessing.uri).reason.startswith("the signatures disagree on the same 1 image")
    assert blessing.get_int_custom_property("blessed") == 0


def test_model_that_accepts_invalid_bytes_is_refused(tmp_path, examples):
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

    blessing = run_canary(tmp_path, examples, model)

    assert read_report(blessing.uri).reason == "serving_default accepts bytes that are no valid input"


@pytest.mark.parametrize(
    "reason, probabilities, class_id",
    [
        ("not finite", [np.inf, 0.5], 0),
        ("outside 0 to 1", [1.5, -0.5], 0),
        ("do not sum to 1", [0.5, 0.4], 0),
        ("not the most probable", [0.6, 0.4], 1),
    ],
)
def test_probabilities_that_are_no_distribution_are_refused(reason, probabilities, class_id):
    with pytest.raises(probe.Refusal, match=reason):
        probe.check_probabilities("serving_default", np.array([class_id]), np.array([probabilities]))


def test_node_takes_model_and_examples_and_returns_infra_blessing():
    node = component.Canary(
        model=types.Channel(standard_artifacts.Model),
        examples=types.Channel(standard_artifacts.Examples),
        images=5,
        timeout=60,
        max_latency_ms=20.0,
    )

    assert node.id == "Canary"
    assert node.exec_properties == {"images": 5, "timeout": 60, "max_latency_ms": 20.0}
    assert node.outputs["blessing"].type is standard_artifacts.InfraBlessing


def test_model_that_never_answers_is_refused_after_the_timeout(tmp_path, examples):
    blessing = run_canary(tmp_path, examples, toy_models.make(Endless(), tmp_path / "model"), timeout=8)

    assert read_report(blessing.uri).reason == "the process that tests the model did not end within 8 seconds"
    assert blessing.get_int_custom_property("blessed") == 0


def test_model_without_variables_is_refused(tmp_path, examples):
    model = toy_models.make(toy_models.FirstPixel(), tmp_path / "model")
    shutil.rmtree(tmp_path / "model" / "Format-Serving" / "variables")

    blessing = run_canary(tmp_path, examples, model)

    assert read_report(blessing.uri).reason.startswith("the model cannot be loaded or called: ")
    assert blessing.get_int_custom_property("blessed") == 0


def test_probe_that_fails_refuses_the_model_with_its_last_line_of_output():
    report = component.run_probe({}, timeout=HANG_SECONDS)

    assert report == CanaryReport(False, "the process that tests the model ended with code 1: KeyError: 'images'")


def test_killed_probe_says_nothing_about_the_model(tmp_path, examples, monkeypatch):
    """As if memory ran out: a refusal would be cached, and the model never pushed."""
    (tmp_path / "probe.py").write_text("import os; os.kill(os.getpid(), 9)")
    monkeypatch.setattr(component, "_PROBE", tmp_path / "probe.py")

    with pytest.raises(UserError, match=r"was killed by SIGKILL.* memory .*: run the same command again"):
        run_canary(tmp_path, examples, toy_models.make(toy_models.FirstPixel(), tmp_path / "model"))

    assert not (tmp_path / "infra_blessing").exists()


def test_empty_test_split_is_bad_data(tmp_path):
    empty = executions.examples(toy_models.write_examples(tmp_path / "examples", 0), ["test"])

    with pytest.raises(DataError, match="Split-test: holds no records"):
        run_canary(tmp_path, empty, toy_models.make(toy_models.FirstPixel(), tmp_path / "model"))
