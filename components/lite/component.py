"""LiteExport as a TFX component."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.lite import executor


class LiteExportSpec(ComponentSpec):
    """Parameters, inputs and outputs of LiteExport."""

    PARAMETERS = {
        "calibration_images": ExecutionParameter(type=int),
        "test_images": ExecutionParameter(type=int),
        "min_float_agreement": ExecutionParameter(type=float),
        "min_int8_agreement": ExecutionParameter(type=float),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"lite_model": ChannelParameter(type=standard_artifacts.Model)}


class LiteExport(base_component.BaseComponent):
    """Converts the exported model to TFLite, in float32 and in int8, and keeps the files that agree with it."""

    SPEC_CLASS = LiteExportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        examples: types.BaseChannel,
        calibration_images: int,
        test_images: int,
        min_float_agreement: float,
        min_int8_agreement: float,
    ):
        """Declares the node.

        Args:
            model: the exported Model.
            examples: split train calibrates int8, split eval chooses what stays in float32, split test judges.
            calibration_images: number of images of split train.
            test_images: number of images of split test, and of split eval.
            min_float_agreement: share of the test images that must get the model's class from the float32 file.
            min_int8_agreement: the same for the int8 file.
        """
        lite_model = types.Channel(type=standard_artifacts.Model)
        settings = {
            "calibration_images": calibration_images,
            "test_images": test_images,
            "min_float_agreement": min_float_agreement,
            "min_int8_agreement": min_int8_agreement,
        }
        super().__init__(LiteExportSpec(model=model, examples=examples, lite_model=lite_model, **settings))
