"""Builds the TFX pipeline, the same for every runner."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ml_metadata.proto import metadata_store_pb2
from tensorflow_model_analysis.proto import config_pb2
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.trainer.component import Trainer
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.pusher_pb2 import PushDestination
from tfx.types import Channel

from components.canary.component import Canary
from components.data_gate.component import DataGate
from components.evaluator import eval_config
from components.example_gen.component import ImageExampleGen
from components.example_gen.source_identity import SourceIdentity
from components.lite.component import LiteExport
from components.plain_uris import Evaluator, StatisticsGen
from components.pusher import Pusher
from components.schema import DatasetSchema
from components.trainer.config import TrainerConfig
from components.tuner.component import Tuner
from components.tuner.config import TunerConfig
from pipeline.config.settings import PipelineConfig
from pipeline.graph.fingerprint import graph_fingerprint
from pipeline.graph.nodes import PIPELINE_NAME
from pipeline.sources.prepare import Source
from shiftvit.config import to_dict
from shiftvit.features import TEST
from tuner import space


@dataclass(frozen=True)
class Site:
    """What depends on where the graph runs."""

    root: str  # folder of the artifacts
    training: str  # folder for the state of interrupted trainings
    tuning: str  # folder for the state of interrupted searches
    push_destination: str  # serving folder
    make_baseline: Callable[[Channel], BaseNode]  # takes the candidate; its output `model` is the baseline
    beam_args: Sequence[str]  # flags of Apache Beam
    metadata: metadata_store_pb2.ConnectionConfig | None = None  # None: the runner's own


def create_pipeline(config: PipelineConfig, source: Source, site: Site) -> Pipeline:
    """Returns the whole pipeline, from the prepared source to the pushed model."""
    return Pipeline(
        PIPELINE_NAME,
        site.root,
        components=make_nodes(config, source, site),
        enable_cache=True,
        metadata_connection_config=site.metadata,
        beam_pipeline_args=list(site.beam_args),
    )


def make_nodes(config: PipelineConfig, source: Source, site: Site) -> list[BaseNode]:
    """Returns the nodes in the order of `Node`, without Tuner or LiteExport if the configuration disables them."""
    code = graph_fingerprint()
    example_gen, *_, data_gate = data_nodes = _make_data_nodes(config, source)
    examples = example_gen.outputs["examples"]
    *_, trainer = training_nodes = _make_training_nodes(config, site, code, examples)
    for node in training_nodes:
        node.add_upstream_node(data_gate)
    baseline = site.make_baseline(trainer.outputs["model"])
    evaluator = Evaluator(
        examples,
        trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        example_splits=list(eval_config.SPLITS),
        eval_config=_make_eval_config(config, source.identity),
        module_path=eval_config.EXTRACTION,
    )
    canary = Canary(model=trainer.outputs["model"], examples=examples, **asdict(config.canary))
    lite_nodes = _make_lite_nodes(config, trainer.outputs["model"], examples)
    pusher = Pusher(
        trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=canary.outputs["blessing"],
        evaluation=evaluator.outputs["evaluation"],
        model_run=trainer.outputs["model_run"],
        examples=examples,
        push_destination=PushDestination(filesystem=PushDestination.Filesystem(base_directory=site.push_destination)),
        keep=config.push.keep,
        lite_model=lite_nodes[0].outputs["lite_model"] if lite_nodes else None,
    )
    _add_to_cache_key(code, [*data_nodes, *training_nodes, evaluator, canary, *lite_nodes, pusher])
    return [*data_nodes, *training_nodes, baseline, evaluator, canary, *lite_nodes, pusher]


def _make_eval_config(config: PipelineConfig, identity: SourceIdentity) -> config_pb2.EvalConfig:
    may_lack = config.ingest.max_bad_images if identity.resize else 0
    images, settings = identity.counts[TEST], asdict(config.evaluate)
    return eval_config.make_eval_config(images, identity.num_classes, may_lack=may_lack, **settings)


def _make_data_nodes(config: PipelineConfig, source: Source) -> list[BaseNode]:
    example_gen = ImageExampleGen(
        input_base=str(source.folder.resolve()),
        image_folder=str(source.image_folder),
        identity=source.identity.to_json(),
        images_per_shard=config.ingest.images_per_shard,
        max_bad_images=config.ingest.max_bad_images,
    )
    statistics = StatisticsGen(example_gen.outputs["examples"])
    schema = DatasetSchema(examples=example_gen.outputs["examples"])
    validator = ExampleValidator(statistics.outputs["statistics"], schema.outputs["schema"])
    data_gate = DataGate(
        examples=example_gen.outputs["examples"],
        statistics=statistics.outputs["statistics"],
        anomalies=validator.outputs["anomalies"],
        **asdict(config.gate),
    )
    return [example_gen, statistics, schema, validator, data_gate]


def _make_training_nodes(config: PipelineConfig, site: Site, code: str, examples: Channel) -> list[BaseNode]:
    """Returns the Tuner, unless the search has no trials, and the Trainer."""
    # Digests of the code and of the initial weights, which may change in place, are part of the configuration and of
    # the resume folder: neither the cache nor the state of a training is reused after such a change.
    file = config.train.initial_weights
    weights = hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file else ""
    trial = config.tune.trial_of(config.experiment)
    declared = json.dumps(space.make(config.tune.space, trial).get_config(), sort_keys=True)
    tuner_config = TunerConfig(config.tune, trial, declared, weights, f"{site.tuning}/{code}{weights}")
    search = Tuner(
        tuner_fn="components.tuner.component.tuner_fn", examples=examples, custom_config=to_dict(tuner_config)
    )
    trainer_config = TrainerConfig(config.experiment, f"{site.training}/{code}{weights}")
    trainer = Trainer(
        run_fn="components.trainer.run_fn.run_fn",
        examples=examples,
        hyperparameters=search.outputs["best_hyperparameters"] if config.tune.trials else None,
        custom_config=to_dict(trainer_config),
    )
    return [search, trainer] if config.tune.trials else [trainer]


def _make_lite_nodes(config: PipelineConfig, model: Channel, examples: Channel) -> list[BaseNode]:
    settings = asdict(config.lite)
    return [LiteExport(model=model, examples=examples, **settings)] if settings.pop("enabled") else []


def _add_to_cache_key(code: str, nodes: list[BaseNode]) -> None:
    """Adds the code's fingerprint to the key of TFX's cache, which ignores the code behind a module path."""
    for node in nodes:
        node.executor_spec.add_extra_flags([f"--code={code}"])  # executors ignore the flag
