"""The ExampleGen as a TFX component."""

from typing import ClassVar

from tfx import types
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from components.example_gen import executor


class Cifar10ExampleGenSpec(types.ComponentSpec):
    """Parameters and output of Cifar10ExampleGen."""

    PARAMETERS = {
        executor.INPUT_BASE: ExecutionParameter(type=str),
        executor.IDENTITY: ExecutionParameter(type=str),
        executor.IMAGES_PER_SHARD: ExecutionParameter(type=int),
    }
    INPUTS: ClassVar[dict[str, ChannelParameter]] = {}
    OUTPUTS = {executor.EXAMPLES: ChannelParameter(type=standard_artifacts.Examples)}


class Cifar10ExampleGen(BaseBeamComponent):
    """Ingests CIFAR-10, or any set in its record format, into sharded TFRecords.

    TFX's own ExampleGens cache by file times and need a driver. This one caches by the source's identity and needs
    none, so it runs on every runner.
    """

    SPEC_CLASS = Cifar10ExampleGenSpec
    EXECUTOR_SPEC = BeamExecutorSpec(executor.Executor)

    def __init__(self, input_base: str, identity: str, images_per_shard: int):
        """Declares the node.

        Args:
            input_base: folder with a file `<split>.bin` of binary records for each split.
            identity: a SourceIdentity as JSON.
            images_per_shard: number of images in one TFRecord file.
        """
        super().__init__(
            Cifar10ExampleGenSpec(
                input_base=input_base,
                identity=identity,
                images_per_shard=images_per_shard,
                examples=types.Channel(type=standard_artifacts.Examples),
            )
        )
