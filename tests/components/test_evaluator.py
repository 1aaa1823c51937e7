import json

import pytest
import toy_models
from google.protobuf import json_format
from tfx.components.evaluator.executor import Executor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import artifact_utils, standard_artifacts

from components import evaluator
from pipeline.beam import BeamConfig, arguments

BOUNDS = {"images": 100, "min_top1": 0.7, "min_top5": 0.9, "min_class_top1": 0.0, "max_top1_drop": 0.1}


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    artifact = standard_artifacts.Examples()
    artifact.uri = toy_models.write_examples(tmp_path_factory.mktemp("examples"), 100)
    artifact.split_names = artifact_utils.encode_split_names(["test"])
    return artifact


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Model artifacts by the number of classes they get wrong."""

    def make(wrong):
        artifact = standard_artifacts.Model()
        artifact.uri = toy_models.save(toy_models.FirstPixel(wrong), tmp_path_factory.mktemp(f"wrong{wrong}"))
        return artifact

    return {wrong: make(wrong) for wrong in (0, 2, 10)}


def evaluate(folder, examples, model, baseline=None, **bounds):
    """Runs the Evaluator; returns whether it blessed the model, and where it wrote."""
    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    evaluation.uri, blessing.uri = str(folder / "evaluation"), str(folder / "blessing")
    blessing.id = 1
    inputs = {"examples": [examples], "model": [model]}
    if baseline is not None:
        inputs["baseline_model"] = [baseline]
    config = evaluator.make_eval_config(**{**BOUNDS, **bounds})
    Executor(BaseBeamExecutor.Context(beam_pipeline_args=arguments(BeamConfig()), tmp_dir=str(folder / "tmp"))).Do(
        inputs,
        {"evaluation": [evaluation], "blessing": [blessing]},
        {
            "eval_config": json_format.MessageToJson(config),
            "example_splits": json.dumps(list(evaluator.SPLITS)),
            "fairness_indicator_thresholds": "null",
        },
    )
    return bool(blessing.get_int_custom_property("blessed")), evaluation.uri


def test_a_good_model_is_blessed_without_a_baseline_and_measured_per_class(tmp_path, examples, models):
    blessed, uri = evaluate(tmp_path, examples, models[2], min_top1=0.8)  # exactly at the bound

    assert blessed
    assert evaluator.explain(uri) == []
    metrics = evaluator.read_metrics(uri)
    assert json.loads(json.dumps(metrics)) == metrics
    assert metrics["top1"] == pytest.approx(0.8) and metrics["examples"] == 100
    assert metrics["class_top1"] == [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    assert metrics["confusion"][0] == [0, 10] + [0] * 8 and metrics["confusion"][9] == [0] * 9 + [10]


def test_every_missed_bound_is_told_with_its_slice_value_and_distance(tmp_path, examples, models):
    blessed, uri = evaluate(tmp_path, examples, models[2], min_top1=0.85, min_class_top1=0.5)

    assert not blessed
    names = [f"name{k}" for k in range(10)]
    assert sorted(evaluator.explain(uri, names)) == [
        "top-1 on all test images is 80.00%, below the required 85.00% by 5.00 points",
        "top-1 on class name0 is 0.00%, below the required 50.00% by 50.00 points",
        "top-1 on class name1 is 0.00%, below the required 50.00% by 50.00 points",
    ]


def test_a_model_worse_than_the_baseline_is_refused_and_the_drop_told(tmp_path, examples, models):
    blessed, uri = evaluate(tmp_path, examples, models[2], baseline=models[0])

    assert not blessed
    assert evaluator.explain(uri) == [
        "top-1 on all test images is 20.00 points below the baseline's, 10.00 more than the 10.00 allowed"
    ]
    assert evaluator.read_metrics(uri)["top1"] == pytest.approx(0.8)


def test_a_baseline_without_a_right_answer_is_told_from_a_drop(tmp_path, examples, models):
    blessed, uri = evaluate(tmp_path, examples, models[0], baseline=models[10])

    assert not blessed  # TFMA divides by the baseline's value, and refuses what it cannot divide by
    assert evaluator.explain(uri) == ["top-1 on all test images cannot be compared with the baseline's, which is 0"]


def test_a_model_as_good_as_the_baseline_is_blessed_though_no_drop_is_allowed(tmp_path, examples, models):
    blessed, uri = evaluate(tmp_path, examples, models[0], baseline=models[0], max_top1_drop=0.0)

    assert blessed, evaluator.explain(uri)


def test_a_drop_of_exactly_what_is_allowed_is_blessed(tmp_path, examples, models):
    blessed, uri = evaluate(tmp_path, examples, models[2], baseline=models[0], max_top1_drop=0.2)

    assert blessed, evaluator.explain(uri)


def test_a_model_measured_on_fewer_or_more_images_than_there_are_is_refused(tmp_path, examples, models):
    blessed, uri = evaluate(tmp_path, examples, models[0], images=101)

    assert not blessed
    assert evaluator.explain(uri) == [
        "100 of the 101 test images were measured: Beam's runner lost or doubled some; run again, "
        "with --beam local if you chose another"
    ]
    assert not evaluate(tmp_path / "more", examples, models[0], images=99)[0]
