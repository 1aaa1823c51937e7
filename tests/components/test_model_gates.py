"""Models with one fault each, and a good one, through the Evaluator, the Canary and the Pusher."""

import executions
import pytest
import toy_models
from judging import evaluate, is_blessed, push, run_canary
from known_data import NUM_CLASSES
from toy_models import FirstPixel, NotANumber, Slow

from components.canary.report import read_report
from components.evaluator.explain import explain
from components.evaluator.results import read_metrics

pytestmark = pytest.mark.slow

IMAGES = 200  # of 20 grades: each wrong grade costs 5 points of top-1
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
    """The Canary's blessing of a good model; models with other weights would get the same."""
    folder = tmp_path_factory.mktemp("served")
    blessing = run_canary(folder, examples, toy_models.make(FirstPixel(), folder / "model"), **LATENCY)
    assert is_blessed(blessing), read_report(blessing.uri).reason
    return blessing


REFUSED = {
    "worse than the baseline": (
        FirstPixel(wrong_grades=7, confidence=0.65),
        "top-1 is 15.00 points below the baseline's (95% interval 9.85 to 19.85); evaluate.max_top1_drop allows 5.00",
    ),
    "perhaps worse than the baseline": (
        FirstPixel(wrong_grades=5, confidence=0.75),
        "top-1 is 5.00 points below the baseline's, but with 200 test images the 95% interval is 1.81 below to 8.10 "
        "below; evaluate.max_top1_drop allows 5.00: use a larger test split or a larger limit",
    ),
    "better on average but blind to a class": (
        FirstPixel(wrong_below=1, confidence=0.9),
        "top-1 on class 0 is 0.00%, below the required 30.00% by 30.00 points (evaluate.min_class_top1)",
    ),
    "accurate but far too unsure": (
        FirstPixel(wrong_grades=1, confidence=0.3),
        "expected calibration error on all test images is 0.650, above the allowed 0.150 (evaluate.max_ece)",
    ),
}


@pytest.mark.parametrize("model, reason", REFUSED.values(), ids=REFUSED)
def test_evaluator_gives_the_one_reason_for_its_refusal(model, reason, examples, baseline, served, tmp_path):
    made = toy_models.make(model, tmp_path / "model")

    evaluation, blessing = evaluate(tmp_path, examples, made, IMAGES, baseline, **BOUNDS)

    assert explain(evaluation.uri) == [reason]
    assert push(tmp_path, made, model_blessing=blessing, infra_blessing=served) == []


def test_evaluator_and_canary_refuse_a_model_that_answers_nan(examples, baseline, tmp_path):
    made = toy_models.make(NotANumber(), tmp_path / "model")

    evaluation, blessing = evaluate(tmp_path, examples, made, IMAGES, baseline, **BOUNDS)
    served = run_canary(tmp_path, examples, made, **LATENCY)

    assert explain(evaluation.uri) == [
        "expected calibration error on all test images is not a number: the model answers NaN"
    ]
    assert read_report(served.uri).reason == "serving_default returns probabilities that are not finite"
    measured = read_metrics(evaluation.uri, NUM_CLASSES)
    assert (measured["ece"], measured["loss"]) == (None, None)
    assert push(tmp_path, made, model_blessing=blessing) == push(tmp_path, made, infra_blessing=served) == []


def test_canary_refuses_a_slow_model_and_reports_its_latency(examples, tmp_path):
    made = toy_models.make(Slow(wrong_grades=1, confidence=0.95), tmp_path / "model")

    blessing = run_canary(tmp_path, examples, made, **LATENCY)

    latency = read_report(blessing.uri).latency_ms["1"]
    assert read_report(blessing.uri).reason == (
        f"a request with one image takes {latency:,g} ms (median of 10), above the 50 ms that canary.max_latency_ms "
        "allows"
    )
    assert push(tmp_path, made, infra_blessing=blessing) == []


def test_a_better_model_is_pushed(examples, baseline, tmp_path):
    made = toy_models.make(FirstPixel(wrong_grades=1, confidence=0.95), tmp_path / "model")

    evaluation, blessing = evaluate(tmp_path, examples, made, IMAGES, baseline, **BOUNDS)
    served = run_canary(tmp_path, examples, made, **LATENCY)

    assert explain(evaluation.uri) == []
    change = read_metrics(evaluation.uri, NUM_CLASSES)["top1_change"]
    assert (change["estimate"], change["gained"], change["lost"]) == (0.15, 30, 0)
    assert 0 < change["low"] < 0.15 < change["high"]
    assert len(push(tmp_path, made, model_blessing=blessing, infra_blessing=served)) == 1
