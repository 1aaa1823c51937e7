"""StatisticsGen and the Evaluator in folders whose names are patterns; what they keep has the real names."""

import json

import executions
import tensorflow_data_validation as tfdv
import tensorflow_model_analysis as tfma
import toy_models
from judging import evaluate, is_blessed
from known_data import NUM_CLASSES
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from components.evaluator.explain import explain
from components.evaluator.results import read_metrics
from components.plain_uris import StatisticsGenExecutor
from pipeline.config.beam import BeamConfig
from pipeline.runners.beam import arguments
from shiftvit.files import paths

NAME = 'proj [2024]{a,b}*?\\ "x"'


def test_the_evaluator_reads_and_writes_there_and_keeps_the_real_names(tmp_path):
    folder = tmp_path / NAME
    examples = executions.examples(toy_models.write_examples(folder / "[examples]", 20), ["test"])
    candidate, baseline = (toy_models.make(toy_models.FirstPixel(), folder / f"model {n}") for n in "01")
    uris = [artifact.uri for artifact in (examples, candidate, baseline)]

    evaluation, blessing = evaluate(
        folder, examples, candidate, 20, baseline, min_corrupted_top1=0.0, max_top1_drop=1.0
    )

    assert is_blessed(blessing) and explain(evaluation.uri) == []
    assert read_metrics(evaluation.uri, NUM_CLASSES)["top1"] == 1
    assert [artifact.uri for artifact in (examples, candidate, baseline)] == uris
    kept = json.loads((folder / "evaluation" / "eval_config.json").read_text())
    assert "/proc/" not in str(kept) and str(folder) in kept["modelLocations"]["candidate"]
    assert "/proc/" not in str(blessing.mlmd_artifact)
    assert tfma.load_eval_result(paths.plain(evaluation.uri)).config.model_specs


def test_statistics_are_made_there(tmp_path):
    folder = tmp_path / NAME
    examples = executions.examples(toy_models.write_examples(folder / "[examples]", 20), ["test"])
    statistics = executions.artifact(standard_artifacts.ExampleStatistics, folder / "statistics")

    executor = StatisticsGenExecutor(
        BaseBeamExecutor.Context(beam_pipeline_args=arguments(BeamConfig()), tmp_dir=str(folder / "tmp"))
    )
    executor.Do({"examples": [examples]}, {"statistics": [statistics]}, {"exclude_splits": "null"})

    [made] = (folder / "statistics").glob("*/FeatureStats.pb")
    assert tfdv.load_stats_binary(str(made)).datasets[0].num_examples == 20
    assert statistics.uri == str(folder / "statistics")
