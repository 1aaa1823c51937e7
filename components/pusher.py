"""TFX's Pusher, with atomic versions of which the newest are kept, a model card and TFLite files."""

import json
import os
import time
from pathlib import Path
from typing import Any, ClassVar

from tfx.components.pusher import executor as standard
from tfx.components.pusher.component import Pusher as StockPusher
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.dsl.io import fileio
from tfx.proto.pusher_pb2 import PushDestination
from tfx.types import BaseChannel, Channel, artifact_utils, standard_artifacts
from tfx.types import standard_component_specs as specs
from tfx.types.component_spec import ChannelParameter
from tfx.utils import io_utils, json_utils, proto_utils
from tfx.utils.typing_utils import ArtifactMultiDict

from components import model_card, serving_folder
from components.evaluator.eval_config import EXAMPLES
from components.evaluator.results import read_metrics
from components.example_gen import source_identity
from shiftvit.dataset import EXTRA_FOLDER
from shiftvit.errors import DataError
from shiftvit.features import TEST
from shiftvit.files import disk, paths
from shiftvit.training_record import EXPERIMENT_FILE

LITE_KEY = "lite_model"  # the input with the TFLite files

_KEEP = "keep"  # key of custom_config


class Executor(standard.Executor):
    """Publishes versions atomically if model and destination are local, and as TFX's executor does otherwise."""

    def Do(
        self, input_dict: ArtifactMultiDict, output_dict: ArtifactMultiDict, exec_properties: dict[str, Any]
    ) -> None:
        """Pushes the model if it is blessed.

        Raises:
            DiskFullError: if there is no room for the version; none is left behind.
        """
        destination = proto_utils.json_to_proto(exec_properties[specs.PUSH_DESTINATION_KEY], PushDestination())
        base, source = destination.filesystem.base_directory, self.GetModelPath(input_dict)
        pushed = artifact_utils.get_single_instance(output_dict[specs.PUSHED_MODEL_KEY])
        if "://" in base or "://" in source:  # an object store
            super().Do(input_dict, output_dict, exec_properties)
            if pushed.get_int_custom_property("pushed"):
                _add_extras(input_dict, pushed.get_string_custom_property(serving_folder.PUSHED_DESTINATION))
            return
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        keep = json_utils.loads(exec_properties[specs.CUSTOM_CONFIG_KEY])[_KEEP]
        model = paths.relative(artifact_utils.get_single_uri(input_dict[specs.MODEL_KEY]), base)
        origin = serving_folder.Origin(model=model, keep=keep)
        folders = [source, *(lite.uri for lite in input_dict.get(LITE_KEY, ()))]
        size = sum(disk.folder_size(Path(folder)) for folder in folders)
        with disk.ensure_space(base, 2 * size, "the pushed model and its archived copy"):
            io_utils.copy_dir(source, pushed.uri)  # the archive comes first, so that any served version can be restored
            _add_extras(input_dict, pushed.uri)
            number, new = serving_folder.publish(Path(pushed.uri), Path(base), origin, at_least=int(time.time()))
        self._MarkPushed(pushed, pushed_destination=os.path.join(base, str(number)), pushed_version=str(number))
        pushed.set_int_custom_property(serving_folder.ALREADY_PUSHED, int(not new))


class PusherSpec(specs.PusherSpec):
    """Adds the sources of the model card and the TFLite files to the inputs of TFX's Pusher."""

    INPUTS: ClassVar = {
        **specs.PusherSpec.INPUTS,
        specs.EVALUATION_KEY: ChannelParameter(type=standard_artifacts.ModelEvaluation, optional=True),
        specs.MODEL_RUN_KEY: ChannelParameter(type=standard_artifacts.ModelRun, optional=True),
        specs.EXAMPLES_KEY: ChannelParameter(type=standard_artifacts.Examples, optional=True),
        LITE_KEY: ChannelParameter(type=standard_artifacts.Model, optional=True),
    }


class Pusher(StockPusher):
    """TFX's Pusher with our executor and its inputs."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(self, model: BaseChannel, *, push_destination: PushDestination, keep: int, **channels: Any):
        """Declares the node.

        Args:
            model: the exported Model.
            push_destination: the serving folder.
            keep: number of versions to keep in the serving folder.
            **channels: `model_blessing` and `infra_blessing`, as in TFX; `evaluation`, `model_run` and `examples`,
                which together give the version a model card; `lite_model`, which gives it TFLite files.
        """
        pushed = Channel(type=standard_artifacts.PushedModel)
        config = {"push_destination": push_destination, "custom_config": json_utils.dumps({_KEEP: keep})}
        BaseComponent.__init__(self, PusherSpec(model=model, pushed_model=pushed, **config, **channels))


def _add_extras(input_dict: ArtifactMultiDict, folder: str) -> None:
    _write_card(input_dict, folder)
    if input_dict.get(LITE_KEY):
        lite = artifact_utils.get_single_uri(input_dict[LITE_KEY])
        io_utils.copy_dir(lite, os.path.join(folder, serving_folder.LITE_FOLDER))


def _check_count(measured: int, images: int) -> None:
    """Raises DataError unless all test images were measured; some Beam runners lose elements without an error."""
    if measured != images:
        raise DataError(
            f"the Evaluator measured {measured:,} of the {images:,} test images: Beam's runner lost or doubled some; "
            "run again, with --beam local if you chose another runner"
        )


def _write_card(input_dict: ArtifactMultiDict, folder: str) -> None:
    """Writes the model card into the folder of a SavedModel, if all its sources are among the inputs."""
    sources = [input_dict.get(key) for key in (specs.EVALUATION_KEY, specs.MODEL_RUN_KEY, specs.EXAMPLES_KEY)]
    if not all(sources):
        return
    evaluation, model_run, examples = map(artifact_utils.get_single_instance, sources)
    with fileio.open(os.path.join(model_run.uri, EXPERIMENT_FILE)) as file:
        experiment = json.load(file)
    properties = {name: examples.get_custom_property(name) for name in source_identity.PROPERTIES}
    metrics = read_metrics(evaluation.uri, len(source_identity.class_names(properties)))
    _check_count(metrics[EXAMPLES], properties[source_identity.count_property(TEST)])
    card = model_card.write(metrics, experiment, properties, time.time())
    fileio.makedirs(os.path.join(folder, EXTRA_FOLDER))
    with fileio.open(os.path.join(folder, serving_folder.CARD_FILE), "w") as file:
        file.write(card)
