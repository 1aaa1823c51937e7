"""The Canary as a TFX component."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.canary import executor


class CanarySpec(ComponentSpec):
    """Parameters, inputs and output of the Canary."""

    PARAMETERS = {
        "images": ExecutionParameter(type=int),
        "timeout": ExecutionParameter(type=int),
        "max_latency_ms": ExecutionParameter(type=float),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class Canary(base_component.BaseComponent):
    """Loads the exported model in a fresh process, without this project's code, and tests every signature.

    Replaces TFX's InfraValidator, which needs Docker or Kubernetes. The Pusher takes `blessing` as `infra_blessing`.
    """

    SPEC_CLASS = CanarySpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self, model: types.BaseChannel, examples: types.BaseChannel, images: int, timeout: int, max_latency_ms: float
    ):
        """Declares the node.

        Args:
            model: the exported Model.
            examples: Examples whose split test has the images.
            images: number of images to send, the first of the split.
            timeout: time limit of the process in seconds, including its start.
            max_latency_ms: limit of the median latency of a request with one image, in milliseconds.
        """
        blessing = types.Channel(type=standard_artifacts.InfraBlessing)
        settings = {"images": images, "timeout": timeout, "max_latency_ms": max_latency_ms}
        super().__init__(CanarySpec(model=model, examples=examples, blessing=blessing, **settings))
