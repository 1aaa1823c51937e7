"""The names of the pipeline and of its nodes. Imports nothing heavy."""

from enum import Enum

PIPELINE_NAME = "shiftvit"  # of the graph in ML Metadata, and of the served model


class Node(str, Enum):
    """The id of each node, in the order in which they run; equal to the plain text."""

    EXAMPLE_GEN = "ImageExampleGen"
    STATISTICS_GEN = "StatisticsGen"
    SCHEMA = "DatasetSchema"
    EXAMPLE_VALIDATOR = "ExampleValidator"
    DATA_GATE = "DataGate"
    TUNER = "Tuner"
    TRAINER = "Trainer"
    BASELINE = "Baseline"
    EVALUATOR = "Evaluator"
    CANARY = "Canary"
    LITE_EXPORT = "LiteExport"
    PUSHER = "Pusher"

    def __str__(self) -> str:
        return self.value
