"""The node of the graph that turns a prepared source into Examples."""

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
    INPUTS = {}
    OUTPUTS = {executor.EXAMPLES: ChannelParameter(type=standard_artifacts.Examples)}


class Cifar10ExampleGen(BaseBeamComponent):
    """Ingests CIFAR-10, or any set in its record format, into sharded TFRecords.

    It is cached by the source's identity, not by the times of files as TFX's own ExampleGens are, and needs no driver
    of its own, so it runs wherever TFX does.
    """

    SPEC_CLASS = Cifar10ExampleGenSpec
    EXECUTOR_SPEC = BeamExecutorSpec(executor.Executor)

    def __init__(self, input_base: str, identity: str, images_per_shard: int):
        """Makes the node.

        Args:
            input_base: folder with a file `<split>.bin` of binary records for each split.
            identity: the source's identity as JSON: kind, sha256, published, counts of each split, class_names.
            images_per_shard: images in one TFRecord file.
        """
        super().__init__(
            Cifar10ExampleGenSpec(
                input_base=input_base,
                identity=identity,
                images_per_shard=images_per_shard,
                examples=types.Channel(type=standard_artifacts.Examples),
            )
        )
