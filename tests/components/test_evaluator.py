import json

import executions
import pytest
import toy_models
from judging import evaluate, is_blessed

from components.evaluator.explain import explain
from components.evaluator.results import read_metrics

IMAGES = 100


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return executions.examples(toy_models.write_examples(tmp_path_factory.mktemp("examples"), IMAGES), ["test"])


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Model artifacts by the number of classes they get wrong; each is as sure of an answer as it is right."""

    def make(wrong):
        model = toy_models.FirstPixel(wrong, confidence=0.8)
        return toy_models.make(model, tmp_path_factory.mktemp(f"wrong{wrong}"))

    return {wrong: make(wrong) for wrong in (2, 10)}


def test_a_good_model_is_blessed_without_a_baseline_and_measured(tmp_path, examples, models):
    evaluation, blessing = evaluate(tmp_path, examples, models[2], IMAGES, min_top1=0.8)  # exactly at the bound

    assert is_blessed(blessing)
    assert explain(evaluation.uri) == []
    metrics = read_metrics(evaluation.uri)
    assert json.loads(json.dumps(metrics)) == metrics
    assert metrics["top1"] == pytest.approx(0.8) and metrics["examples"] == IMAGES
    assert metrics["top1_interval"] == pytest.approx([0.7112, 0.8666], abs=1e-4)
    assert metrics["class_top1"] == [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    assert metrics["confusion"][0] == [0, 10] + [0] * 8 and metrics["confusion"][9] == [0] * 9 + [10]
    assert metrics["ece"] == pytest.approx(0, abs=1e-6)
    assert "top1_change" not in metrics
    corrupted = metrics["corrupted_top1"]
    assert set(corrupted) == {"noise", "blur", "brightness", "jpeg"}
    assert sum(measured["examples"] for measured in corrupted.values()) == IMAGES
    # Its pictures are of one colour each, which neither blur nor JPEG changes, but more light makes another class's.
    assert min(corrupted["blur"]["top1"], corrupted["jpeg"]["top1"]) > 0.5 > corrupted["brightness"]["top1"]


def test_every_missed_bound_is_told_with_its_slice_value_and_distance(tmp_path, examples, models):
    bounds = {"min_top1": 0.85, "min_class_top1": 0.5, "max_ece": 0.0, "min_corrupted_top1": 0.5}
    evaluation, blessing = evaluate(tmp_path, examples, models[2], IMAGES + 1, **bounds)

    assert not is_blessed(blessing)
    brightness = read_metrics(evaluation.uri)["corrupted_top1"]["brightness"]["top1"]
    told = sorted(explain(evaluation.uri, [f"name{k}" for k in range(10)]))
    assert [sentence for sentence in told if "noise" not in sentence] == [
        "100 of the 101 test images were measured: Beam's runner lost or doubled some; run again, "
        "with --beam local if you chose another",
        "top-1 on all test images is 80.00%, below the required 85.00% by 5.00 points",
        "top-1 on class name0 is 0.00%, below the required 50.00% by 50.00 points",
        "top-1 on class name1 is 0.00%, below the required 50.00% by 50.00 points",
        f"top-1 on images made brighter is {brightness:.2%}, below the required 50.00% by {50 - 100 * brightness:.2f} "
        "points",
    ]


def test_more_images_than_there_are_is_refused(tmp_path, examples, models):
    _, blessing = evaluate(tmp_path, examples, models[2], IMAGES - 1)

    assert not is_blessed(blessing)


def test_a_baseline_without_a_right_answer_can_be_compared_with(tmp_path, examples, models):
    evaluation, blessing = evaluate(tmp_path, examples, models[2], IMAGES, baseline=models[10])

    assert is_blessed(blessing), explain(evaluation.uri)
    assert read_metrics(evaluation.uri)["top1_change"]["gained"] == 80


@pytest.mark.parametrize("limit, blessed", [(0.02, True), (0.01, False)])
def test_an_equal_model_is_blessed_if_the_limit_is_wider_than_the_noise(tmp_path, examples, models, limit, blessed):
    evaluation, blessing = evaluate(tmp_path, examples, models[2], IMAGES, baseline=models[2], max_top1_drop=limit)

    assert is_blessed(blessing) is blessed
    told = (
        "top-1 is the same as the baseline's, but by 100 test images that may be anything from 1.92 above to 1.92 "
        "below, where evaluate.max_top1_drop allows 1.00: a larger test split, or a larger limit, can tell"
    )
    assert explain(evaluation.uri) == [told] * (not blessed)


@pytest.mark.parametrize("floor", [0.0, 0.01])
def test_a_corruption_without_images_is_told_only_where_a_floor_is_asked(tmp_path, models, floor):
    examples = executions.examples(toy_models.write_examples(tmp_path / "examples", 3), ["test"])

    evaluation, blessing = evaluate(tmp_path, examples, models[2], 3, min_top1=0, max_ece=1, min_corrupted_top1=floor)

    measured = read_metrics(evaluation.uri)["corrupted_top1"]
    assert 0 < len(measured) < 4
    assert is_blessed(blessing) is (floor == 0)
    absent = [sentence for sentence in explain(evaluation.uri) if "too small" in sentence]
    assert len(absent) == (4 - len(measured)) * (floor > 0)
