"""Compiles the graph for open-source Kubeflow Pipelines (KFP) 2, as a PipelineSpec 2.1 and a platform document.

KFP has an older and a newer form for some settings of a step. In a container, an installation ignores the form that it
does not know, so both are written. In the platform document, old installations reject the newer form and all take the
older, so only that is written.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kubernetes.utils.quantity import parse_quantity
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig
from tfx.types import Channel

from components.baseline import PushedBaseline
from components.example_gen.source_identity import SourceIdentity
from pipeline.config.kubeflow import GPU, KubeflowConfig, StepConfig
from pipeline.config.settings import PipelineConfig
from pipeline.config.source import parse_source
from pipeline.graph.dag import Site, create_pipeline
from pipeline.graph.fingerprint import graph_fingerprint
from pipeline.graph.nodes import Node
from pipeline.runners import beam, preflight
from pipeline.runners.kubeflow import acceptance, refused
from pipeline.runners.kubeflow.pipeline_file import DATA, EPOCHS, PUSH_DESTINATION, Json
from pipeline.runners.kubeflow.yaml_files import write
from pipeline.sources.prepare import SOURCE_SETTINGS, Source
from shiftvit.config import ModelConfig, TrainConfig, require, to_dict
from shiftvit.features import SPLITS
from shiftvit.train import check_initial_weights
from shiftvit.variants import OFFICIAL_PATCH

COMMAND = ("python", "-m", "pipeline.runners.kubeflow.entrypoint")

# Parameters of TFX that depend on the image or the data, so that the step sets them itself.
_SET_BY_STEP = (
    (Node.EXAMPLE_GEN, "identity"),
    (Node.EXAMPLE_GEN, "input_base"),
    (Node.EXAMPLE_GEN, "image_folder"),
    (Node.EVALUATOR, "eval_config"),
)
# Stands for the source, which is a parameter of the run and unknown until the first step reads it.
_UNKNOWN_SOURCE = Source(SourceIdentity("", "", False, dict.fromkeys(SPLITS, 0), (), 0), Path("/"))


def compile_pipeline(config: PipelineConfig, file: Path, command: Sequence[str] = COMMAND) -> None:
    """Writes the graph of `config` to a file for `rehearse` and `submit`, atomically.

    Args:
        config: the configuration; `config.kubeflow` has the settings for the cluster.
        file: the file to write.
        command: the command of each container; the image must have it.

    Raises:
        ConfigError: a setting is missing, KFP would reject the result, or the file cannot be written.
        DataError: the initial weights cannot be read.
    """
    config = config.with_absolute_paths()
    _check(config)
    _check_devices(config)
    preflight.check(config)
    preflight.check_flags(config.beam)
    spec = _compile(config, command)
    _set_parameters(spec, config)
    refused.add(spec, config.kubeflow)
    code = graph_fingerprint()
    on_platform = {}
    for task in spec["root"]["dag"]["tasks"]:
        executor, step = f"{task}_executor", config.kubeflow.steps.of(task)
        container = spec["deploymentSpec"]["executors"][executor]["container"]
        container["args"].append(f"--code={code}")  # part of the key of KFP's cache, and compared by the step
        container |= _container_settings(step, config.kubeflow)
        on_platform[executor] = _platform_settings(step, config.kubeflow)
    documents = [spec, {"platforms": {"kubernetes": {"deploymentSpec": {"executors": on_platform}}}}]
    acceptance.check(documents, file)
    write(documents, file)


def _check(config: PipelineConfig) -> None:
    kubeflow = config.kubeflow
    require(
        kubeflow.image,
        "kubeflow.image is not set: --set kubeflow.image=NAME sets the name by which the cluster pulls the image that "
        "`make image` built",
    )
    kubeflow.require_volume("kubeflow.push_destination", kubeflow.push_destination)
    if kubeflow.state:
        kubeflow.require_volume("kubeflow.state", kubeflow.state)
    _, path = parse_source(config.source)
    if path is not None:
        kubeflow.require_volume("--data", str(path))
    if config.ingest.tfds_dir:
        kubeflow.require_volume("ingest.tfds_dir", config.ingest.tfds_dir)
    require(
        config.beam.runner == "local" or (config.beam.runner == "dask" and not config.beam.address),
        f"beam.runner={config.beam.runner}: a step on Kubeflow reads and writes files in its container, which workers "
        "elsewhere cannot access; compile with --beam local",
    )
    if config.train.initial_weights:
        kubeflow.require_volume("train.initial_weights", config.train.initial_weights)
        check_initial_weights(_for_unknown_data(config.model), config.train.initial_weights)


def _check_devices(config: PipelineConfig) -> None:
    """Raises ConfigError if the GPUs of the Trainer's or the Tuner's step do not fit the training or the search."""
    trainer, tuner, workers = config.kubeflow.steps.trainer, config.kubeflow.steps.tuner, max(config.tune.workers, 1)
    _check_gpus(config.train, "kubeflow.steps.trainer.gpus", trainer.gpus)
    if config.tune.trials and tuner.gpus:
        key = "kubeflow.steps.tuner.gpus"
        require(workers <= tuner.gpus, f"tune.workers={workers} is more than {key}={tuner.gpus}: each needs its own")
        _check_gpus(config.train, key, tuner.gpus // workers)


def _check_gpus(train: TrainConfig, key: str, gpus: int) -> None:
    """Raises ConfigError if so many GPUs, which the setting `key` gives a training, do not fit it; 0: it has none."""
    if gpus:
        require(train.replicas <= gpus, f"train.replicas={train.replicas} is more than {key} gives a training: {gpus}")
        train.check_devices(train.replicas or gpus)


def _for_unknown_data(model: ModelConfig) -> ModelConfig:
    """Returns the network for some data that fits it; neither affects which weights it has, but for the head's.

    Where the data chooses the patches, they are those of all official weights.
    """
    if model.image_size:
        model = model.for_images(model.image_size)
    patch = model.patch_size or OFFICIAL_PATCH
    size = model.image_size or patch * 2 ** len(model.dims) * (1 + model.shift_pixels)
    return replace(model, image_size=size, patch_size=patch, num_classes=model.num_classes or 1)


def _compile(config: PipelineConfig, command: Sequence[str]) -> Json:
    state = config.kubeflow.state or "/tmp/shiftvit"  # in the container, lost with it
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
    job = KubeflowV2DagRunner(settings).run(create_pipeline(config, _UNKNOWN_SOURCE, site), write_out=False)
    spec = job["pipelineSpec"]
    if config.kubeflow.pipeline_root:
        spec["defaultPipelineRoot"] = config.kubeflow.pipeline_root
    return spec


def find_baseline(candidate: Channel) -> BaseNode:
    """Returns the node that finds the newest pushed model; KFP has no ML Metadata to look up the last blessed one."""
    return PushedBaseline(candidate=candidate, push_destination="").with_id(Node.BASELINE)


def _set_parameters(spec: Json, config: PipelineConfig) -> None:
    """Adds the parameters of a run, with defaults, and removes those that the steps set themselves.

    `entrypoint.py` applies them.
    """
    for node, name in _SET_BY_STEP:
        del spec["root"]["dag"]["tasks"][node]["inputs"]["parameters"][name]
        del spec["components"][node]["inputDefinitions"]["parameters"][name]
    declared = {}
    for name, kind, default, nodes in (
        (DATA, "STRING", config.source, [Node.EXAMPLE_GEN]),
        (EPOCHS, "NUMBER_INTEGER", config.train.epochs, [Node.TRAINER]),
        (PUSH_DESTINATION, "STRING", config.kubeflow.push_destination, [Node.BASELINE, Node.PUSHER]),
    ):
        declared[name] = {"parameterType": kind, "defaultValue": default}
        for node in nodes:
            _add_parameter(spec, node, name, kind, {"componentInputParameter": name})
    spec["root"]["inputDefinitions"] = {"parameters": declared}
    for node, groups in ((Node.EXAMPLE_GEN, SOURCE_SETTINGS), (Node.EVALUATOR, ("evaluate",))):
        constant = json.dumps({group: to_dict(getattr(config, group)) for group in groups}, sort_keys=True)
        _add_parameter(spec, node, "settings", "STRING", {"runtimeValue": {"constant": constant}})


def _add_parameter(spec: Json, node: Node, name: str, kind: str, value: Json) -> None:
    spec["components"][node]["inputDefinitions"]["parameters"][name] = {"parameterType": kind}
    spec["root"]["dag"]["tasks"][node]["inputs"]["parameters"][name] = value


def _container_settings(step: StepConfig, config: KubeflowConfig) -> Json:
    """Returns the fields of a step's container that TFX leaves out: resources and environment."""
    cores, gigabytes = float(parse_quantity(step.cpu)), float(parse_quantity(step.memory)) / 1e9
    resources: Json = {}
    for kind in ("Limit", "Request"):
        resources[f"resourceCpu{kind}"], resources[f"resourceMemory{kind}"] = step.cpu, step.memory
        resources[f"cpu{kind}"], resources[f"memory{kind}"] = cores, gigabytes
    if step.gpus:
        count = str(step.gpus)
        resources["accelerator"] = {"resourceType": GPU, "resourceCount": count, "type": GPU, "count": count}
    return {"resources": resources, "env": config.environment}


def _platform_settings(step: StepConfig, config: KubeflowConfig) -> Json:
    """Returns the settings of a step in the platform document: image secret, secrets, volumes and placement."""
    placement = config.placement(step)
    settings = {
        "imagePullSecret": [{"secretName": config.image_pull_secret}] if config.image_pull_secret else [],
        "secretAsEnv": [
            {"secretName": secret, "keyToEnv": [{"secretKey": key, "envVar": variable}]}
            for variable, secret, key in config.secret_variables
        ],
        "pvcMount": [{"constant": claim, "mountPath": path} for claim, path in config.mounts.items()],
        "nodeSelector": {"labels": placement["nodeSelector"]} if placement["nodeSelector"] else {},
        "tolerations": placement["tolerations"],
    }
    return {name: value for name, value in settings.items() if value}
