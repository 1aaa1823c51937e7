"""Compiles the real graph at a tiny size."""

from pathlib import Path

import yaml

from pipeline.config.overrides import override
from pipeline.config.settings import PipelineConfig
from pipeline.runners.kubeflow.compile import COMMAND, compile_pipeline

SMALL = [
    "model.dims=16,32",
    "model.depths=1,1",
    "model.n_div=8",
    "data.crop_padding=0",
    "data.flip=false",
    "train.epochs=1",
    "train.batch_size=50",
    "shapes.train=200",
    "shapes.eval=50",
    "shapes.test=50",
    "tune.trials=0",
    "evaluate.min_top1=0",
    "evaluate.max_top1_drop=1",
    "evaluate.max_ece=1",
    "canary.timeout=1200",
    "canary.max_latency_ms=60000",
    "kubeflow.image=registry/shiftvit:1",
    "kubeflow.volumes=models:/serving,kept:/state",
]

# Every setting for the platform.
FULL = [
    "tune.trials=2",
    "train.epochs=7",
    "train.batch_size=48",
    "kubeflow.steps.trainer.gpus=4",
    "kubeflow.steps.evaluator.memory=3Gi",
    "kubeflow.steps.evaluator.cpu=1500m",
    "kubeflow.env=MODE=a=b,LEVEL=2",
    "kubeflow.secrets=TOKEN=store:key",
    "kubeflow.image_pull_secret=registry",
    "kubeflow.node_selector=pool=ml",
    "kubeflow.gpu_node_selector=card=h100",
    "kubeflow.tolerations=team=vision:NoExecute",
]


def compile_small(file: Path, *settings: str, command=COMMAND) -> Path:
    compile_pipeline(override(PipelineConfig(), [*SMALL, *settings]), file, command)
    return file


def compiled(folder: Path, *settings: str) -> list[dict]:
    """Returns the documents of the compiled file."""
    return list(yaml.safe_load_all(compile_small(folder / "p.yaml", *settings).read_text()))
