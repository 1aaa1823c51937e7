"""What the Pusher component runs: TFX's own Pusher, but a version appears whole, is pushed once, and few are kept."""

import os
import time
from pathlib import Path
from typing import Any

from tfx import v1 as tfx
from tfx.components.pusher import executor as standard
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import Artifact, artifact_utils, standard_component_specs
from tfx.utils import io_utils, json_utils, proto_utils

from components import serving
from shiftvit import disk

ALREADY_PUSHED = "already_pushed"  # property of a PushedModel: its version was there, and nothing was copied


class Executor(standard.Executor):
    """Pushes as TFX's executor does where the destination or the model is remote: no rename is atomic there."""

    def Do(self, input_dict, output_dict, exec_properties):
        """Pushes the model if it is blessed; the arguments are TFX's, with `keep` in `custom_config`.

        Raises:
            DiskFullError: when there is no room for it; no version is there then.
        """
        base, source = _filesystem_destination(exec_properties), self.GetModelPath(input_dict)
        if not (_is_local(base) and _is_local(source)):
            super().Do(input_dict, output_dict, exec_properties)
            return
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        origin = serving.Origin(model=_model_uri(input_dict), keep=_keep(exec_properties))
        with disk.room(base, 2 * disk.size_of(Path(source)), "the pushed model and its archived copy"):
            io_utils.copy_dir(source, pushed.uri)  # first the archive: every version that is served can be brought back
            number, new = serving.publish(Path(source), Path(base), origin, at_least=int(time.time()))
        self._MarkPushed(pushed, pushed_destination=os.path.join(base, str(number)), pushed_version=str(number))
        pushed.set_int_custom_property(ALREADY_PUSHED, int(not new))


class Pusher(tfx.components.Pusher):
    """TFX's Pusher with that executor."""

    EXECUTOR_SPEC = ExecutorClassSpec(Executor)


def _filesystem_destination(exec_properties: dict[str, Any]) -> str:
    destination = tfx.proto.PushDestination()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], destination)
    return destination.filesystem.base_directory


def _is_local(path: str) -> bool:
    return "://" not in path


def _model_uri(input_dict: dict[str, list[Artifact]]) -> str:
    return artifact_utils.get_single_instance(input_dict[standard_component_specs.MODEL_KEY]).uri


def _keep(exec_properties: dict[str, Any]) -> int:
    return json_utils.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])["keep"]
