"""Runs the Evaluator, the Canary and TFX's Pusher as the graph does."""

import json
from dataclasses import asdict

from executions import artifact, context
from google.protobuf import json_format
from known_data import NUM_CLASSES
from tfx.components.pusher.executor import Executor as Pusher
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from waiting import HANG_SECONDS

from components.canary.component import BLESSED, Canary
from components.evaluator.eval_config import EXTRACTION, SPLITS, make_eval_config
from components.plain_uris import EvaluatorExecutor
from pipeline.config.beam import BeamConfig
from pipeline.config.settings import CanaryConfig, EvaluateConfig
from pipeline.runners.beam import arguments


def evaluate(folder, examples, model, images, baseline=None, flags=None, num_classes=NUM_CLASSES, **thresholds):
    """Runs the Evaluator with these thresholds, the others at their defaults; returns its evaluation and blessing."""
    evaluation = artifact(standard_artifacts.ModelEvaluation, folder / "evaluation")
    blessing = artifact(standard_artifacts.ModelBlessing, folder / "blessing")
    blessing.id = 1
    config = make_eval_config(images, num_classes, **asdict(EvaluateConfig(**thresholds)))
    flags = arguments(BeamConfig()) if flags is None else flags
    EvaluatorExecutor(BaseBeamExecutor.Context(beam_pipeline_args=flags, tmp_dir=str(folder / "tmp"))).Do(
        {"examples": [examples], "model": [model]} | ({"baseline_model": [baseline]} if baseline else {}),
        {"evaluation": [evaluation], "blessing": [blessing]},
        {
            "eval_config": json_format.MessageToJson(config),
            "example_splits": json.dumps(list(SPLITS)),
            "fairness_indicator_thresholds": "null",
            "module_path": EXTRACTION,
        },
    )
    return evaluation, blessing


def run_canary(folder, examples, model, **settings):
    """Runs the Canary, on 12 images by default; returns its blessing."""
    blessing = artifact(standard_artifacts.InfraBlessing, folder / "infra_blessing")
    config = CanaryConfig(**{"images": 12, "timeout": int(HANG_SECONDS)} | settings)
    Canary.test_call(model=model, examples=examples, blessing=blessing, **asdict(config))
    return blessing


def push(folder, model, **blessings):
    """Runs the Pusher; returns the folders of the versions that it pushed."""
    Pusher(context(folder)).Do(
        {"model": [model]} | {name: [blessing] for name, blessing in blessings.items()},
        {"pushed_model": [artifact(standard_artifacts.PushedModel, folder / "pushed")]},
        {
            "push_destination": json.dumps({"filesystem": {"base_directory": str(folder / "serving")}}),
            "custom_config": "null",
        },
    )
    return sorted((folder / "serving").glob("*")) if (folder / "serving").exists() else []


def is_blessed(blessing) -> bool:
    return bool(blessing.get_int_custom_property(BLESSED))
