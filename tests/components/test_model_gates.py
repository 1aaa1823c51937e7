"""Bad models, each bad in one way, and a good one, through the Evaluator, the Canary and the Pusher."""

import executions
import pytest
import toy_models
from judging import evaluate, is_blessed, push, try_out
from toy_models import FirstPixel, NotANumber, Slow

from components.canary import executor as canary
from components.evaluator.explain import explain
from components.evaluator.results import read_metrics

pytestmark = pytest.mark.slow

IMAGES = 200  # of 20 grades: each grade that is wrong costs 5 points
BOUNDS = {"min_top1": 0.6, "min_class_top1": 0.3, "max_ece": 0.15, "max_top1_drop": 0.05}
LATENCY = {"max_latency_ms": 50.0}


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return executions.examples(toy_models.write_examples(tmp_path_factory.mktemp("examples"), IMAGES), ["test"])


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    return toy_models.make(FirstPixel(wrong_grades=4, confidence=0.8), tmp_path_factory.mktemp("baseline"))


@pytest.fixture(scope="module")
def served(tmp_path_factory, examples):
    """The Canary's blessing of a model, which it would give to all that differ from it in their weights alone."""
    folder = tmp_path_factory.mktemp("served")
    blessing = try_out(folder, examples, toy_models.make(FirstPixel(), folder / "model"), **LATENCY)
    assert is_blessed(blessing), canary.explain(blessing.uri)
    return blessing


REFUSED = {
    "worse than the baseline": (
        FirstPixel(wrong_grades=7, confidence=0.65),
        "top-1 is 15.00 points below the baseline's (95% interval 9.85 to 19.85), where evaluate.max_top1_drop allows "
        "5.00",
    ),
    "perhaps worse than the baseline": (
        FirstPixel(wrong_grades=5, confidence=0.75),
        "top-1 is 5.00 points below the baseline's, but by 200 test images that may be anything from 1.81 below to "
        "8.10 below, where evaluate.max_top1_drop allows 5.00: a larger test split, or a larger limit, can tell",
    ),
    "better on average but blind to a class": (
        FirstPixel(wrong_below=1, confidence=0.9),
        "top-1 on class 0 is 0.00%, below the required 30.00% by 30.00 points",
    ),
    "as right as a better one, but absurdly unsure": (
        FirstPixel(wrong_grades=1, confidence=0.3),
        "expected calibration error on all test images is 0.650, above the allowed 0.150",
    ),
}


@pytest.mark.parametrize("model, told", REFUSED.values(), ids=REFUSED)
def test_the_evaluator_refuses_for_the_one_reason(model, told, examples, baseline, served, tmp_path):
    made = toy_models.make(model, tmp_path / "model")

    evaluation, blessing = evaluate(tmp_path, examples, made, IMAGES, baseline, **BOUNDS)

    assert explain(evaluation.uri) == [told]
    assert push(tmp_path, made, model_blessing=blessing, infra_blessing=served) == []


def test_both_refuse_one_that_answers_nan_and_none_of_its_figures_is_taken_for_a_number(examples, baseline, tmp_path):
    made = toy_models.make(NotANumber(), tmp_path / "model")

    evaluation, blessing = evaluate(tmp_path, examples, made, IMAGES, baseline, **BOUNDS)
    served = try_out(tmp_path, examples, made, **LATENCY)

    assert explain(evaluation.uri) == [
        "expected calibration error on all test images is not a number: the model answers NaN"
    ]
    assert canary.explain(served.uri) == "serving_default answers probabilities that are not finite"
    measured = read_metrics(evaluation.uri)
    assert (measured["ece"], measured["loss"]) == (None, None)
    assert push(tmp_path, made, model_blessing=blessing) == push(tmp_path, made, infra_blessing=served) == []


def test_the_canary_refuses_one_that_is_too_slow_and_tells_its_latency(examples, tmp_path):
    made = toy_models.make(Slow(wrong_grades=1, confidence=0.95), tmp_path / "model")

    blessing = try_out(tmp_path, examples, made, **LATENCY)

    latency = canary.read_latency(blessing.uri)["1"]
    assert canary.explain(blessing.uri) == (
        f"a request with one image takes {latency:,g} ms (median of 10), above the 50 ms that canary.max_latency_ms "
        "allows"
    )
    assert push(tmp_path, made, infra_blessing=blessing) == []


def test_a_better_model_is_pushed(examples, baseline, tmp_path):
    made = toy_models.make(FirstPixel(wrong_grades=1, confidence=0.95), tmp_path / "model")

    evaluation, blessing = evaluate(tmp_path, examples, made, IMAGES, baseline, **BOUNDS)
    served = try_out(tmp_path, examples, made, **LATENCY)

    assert explain(evaluation.uri) == []
    change = read_metrics(evaluation.uri)["top1_change"]
    assert (change["estimate"], change["gained"], change["lost"]) == (0.15, 30, 0)
    assert 0 < change["low"] < 0.15 < change["high"]
    assert len(push(tmp_path, made, model_blessing=blessing, infra_blessing=served)) == 1
