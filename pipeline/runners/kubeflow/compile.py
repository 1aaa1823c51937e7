"""Compiles the graph for open-source Kubeflow Pipelines (KFP) 2, as a PipelineSpec 2.1 and a platform document."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig
from tfx.types import Channel

from components.baseline import PushedBaseline
from pipeline.config.locations import locate
from pipeline.config.settings import PipelineConfig
from pipeline.config.source import parse_source
from pipeline.graph.dag import Site, create_pipeline
from pipeline.graph.fingerprint import graph_fingerprint
from pipeline.graph.nodes import Node
from pipeline.runners import beam
from pipeline.runners.kubeflow import acceptance, platform
from pipeline.runners.kubeflow.yaml_files import write
from pipeline.sources.prepare import Source
from shiftvit.config import require, to_dict
from shiftvit.features import SPLITS
from shiftvit.train import check_initial_weights

COMMAND = ("python", "-m", "pipeline.runners.kubeflow.entrypoint")

Json = dict[str, Any]

_TEXT, _WHOLE = "STRING", "NUMBER_INTEGER"
# What a run may set: the type, and the steps that take it. `entrypoint.py` says what they do with it.
_PARAMETERS = {
    "data": (_TEXT, ["Cifar10ExampleGen"]),
    "epochs": (_WHOLE, ["Trainer"]),
    "push_destination": (_TEXT, [Node.BASELINE, "Pusher"]),
}
_KNOWN_THERE = {
    "Cifar10ExampleGen": ["identity", "input_base"],
    "ImportSchemaGen": ["schema_file"],
    "Evaluator": ["eval_config"],
}
_SCRATCH = "/tmp/shiftvit"  # of the container, gone with it
# Where the data lies is a parameter of the run, so nothing is known of it before the first step has read it.
_LATER = Source("", "", "", False, dict.fromkeys(SPLITS, 0), (), Path("/"))


def compile_pipeline(config: PipelineConfig, file: Path, command: Sequence[str] = COMMAND) -> None:
    """Writes the graph of `config` to a file that `rehearse` and `submit` take. It appears whole or not at all.

    Args:
        config: what to run; `config.kubeflow` says how.
        file: the file to write.
        command: what each container runs; the image must have it.

    Raises:
        ConfigError: when something is missing, KFP would not accept the result, or the file cannot be written.
        DataError: when the initial weights cannot be read.
    """
    config = locate(config)
    _check(config)
    spec = _compile(config, command)
    tasks = spec["root"]["dag"]["tasks"]
    _set_parameters(spec, config)
    code = graph_fingerprint()
    for task in tasks:
        container = spec["deploymentSpec"]["executors"][platform.executor(task)]["container"]
        container["args"].append(f"--code={code}")  # where KFP's cache sees it, and the step can compare
        container |= platform.container_settings(config.kubeflow.steps.of(task), config.kubeflow)
    documents = [spec, platform.document(config.kubeflow, tasks)]
    acceptance.check(documents, file)
    write(documents, file)


def _check(config: PipelineConfig) -> None:
    kubeflow = config.kubeflow
    require(
        bool(kubeflow.image),
        "kubeflow.image is not set: --set kubeflow.image=NAME gives the name by which the cluster pulls the image that "
        "`make image` built",
    )
    kubeflow.require_volume("kubeflow.push_destination", kubeflow.push_destination)
    if kubeflow.state:
        kubeflow.require_volume("kubeflow.state", kubeflow.state)
    _, path = parse_source(config.source)
    if path is not None:
        kubeflow.require_volume("--data", str(path))
    require(
        config.beam.runner == "local" or (config.beam.runner == "dask" and not config.beam.address),
        f"beam.runner={config.beam.runner}: what a step on Kubeflow reads and writes is in its container, where "
        "workers elsewhere do not see it; compile with --beam local",
    )
    if config.train.initial_weights:
        kubeflow.require_volume("train.initial_weights", config.train.initial_weights)
        check_initial_weights(config.experiment)


def _compile(config: PipelineConfig, command: Sequence[str]) -> Json:
    state = config.kubeflow.state or _SCRATCH
    site = Site(
        root=config.kubeflow.pipeline_root,
        training=f"{state}/training",
        tuning=f"{state}/tuning",
        push_destination=config.kubeflow.push_destination,
        make_baseline=find_baseline,
        beam_args=beam.arguments(config.beam),
    )
    settings = KubeflowV2DagRunnerConfig(
        default_image=config.kubeflow.image, default_commands=list(command), use_pipeline_spec_2_1=True
    )
    job = KubeflowV2DagRunner(settings).run(create_pipeline(config, _LATER, site), write_out=False)
    spec = job["pipelineSpec"]
    if config.kubeflow.pipeline_root:
        spec["defaultPipelineRoot"] = config.kubeflow.pipeline_root
    return spec


def find_baseline(candidate: Channel) -> BaseNode:
    """Returns the node that finds the newest pushed model: KFP has no ML Metadata to resolve the last blessed one."""
    return PushedBaseline(candidate=candidate, push_destination="").with_id(Node.BASELINE)


def _set_parameters(spec: Json, config: PipelineConfig) -> None:
    """Adds what a run may set, with defaults, and takes away what only the cluster can know: the step sets that."""
    for task, names in _KNOWN_THERE.items():
        for name in names:
            del spec["root"]["dag"]["tasks"][task]["inputs"]["parameters"][name]
            del spec["components"][task]["inputDefinitions"]["parameters"][name]
    defaults = {
        "data": config.source,
        "epochs": config.train.epochs,
        "push_destination": config.kubeflow.push_destination,
    }
    declared = {}
    for name, (kind, takers) in _PARAMETERS.items():
        declared[name] = {"parameterType": kind, "defaultValue": defaults[name]}
        for taker in takers:
            _give(spec, taker, name, kind, {"componentInputParameter": name})
    spec["root"]["inputDefinitions"] = {"parameters": declared}
    for task, group in (("Cifar10ExampleGen", "shapes"), ("Evaluator", "evaluate")):
        constant = json.dumps(to_dict(getattr(config, group)), sort_keys=True)
        _give(spec, task, group, _TEXT, {"runtimeValue": {"constant": constant}})


def _give(spec: Json, task: str, name: str, kind: str, value: Json) -> None:
    spec["components"][task]["inputDefinitions"]["parameters"][name] = {"parameterType": kind}
    spec["root"]["dag"]["tasks"][task]["inputs"]["parameters"][name] = value
