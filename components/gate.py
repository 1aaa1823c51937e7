"""The gate between the data and all that trains on it: ExampleValidator finds anomalies, this node stops on them."""

import os
from collections.abc import Mapping

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx
from tfx.types import artifact_utils

from components.example_gen.executor import read_counts
from shiftvit.errors import DataError

STATISTICS_FILE = "FeatureStats.pb"
ANOMALIES_FILE = "SchemaDiff.pb"


@tfx.dsl.components.component
def DataGate(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    statistics: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleStatistics],
    anomalies: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleAnomalies],
):
    """Fails the run when any split has an anomaly, or was not seen whole.

    Raises:
        DataError: with every anomaly, its split and its feature; or the split of whose images some were not seen.
    """
    check_counts(statistics, read_counts(examples))
    found = find_anomalies(anomalies)
    if found:
        raise DataError("the data does not fit the schema: " + "; ".join(found))


def check_counts(statistics: tfx.types.standard_artifacts.ExampleStatistics, counts: Mapping[str, int]) -> None:
    """Raises DataError unless the statistics are those of all images: runners of Beam have been seen to lose some."""
    for split, expected in counts.items():
        path = os.path.join(artifact_utils.get_split_uris([statistics], split)[0], STATISTICS_FILE)
        found = tfdv.load_stats_binary(path).datasets[0].num_examples
        if found != expected:
            raise DataError(
                f"{path}: statistics of {found:,} of the {expected:,} images of the split {split}; run again, with "
                "--beam local if you chose another"
            )


def find_anomalies(anomalies: tfx.types.standard_artifacts.ExampleAnomalies) -> list[str]:
    """Returns a sentence for each anomaly that ExampleValidator wrote into the artifact."""
    sentences = []
    for split in artifact_utils.decode_split_names(anomalies.split_names):
        path = os.path.join(artifact_utils.get_split_uris([anomalies], split)[0], ANOMALIES_FILE)
        with tfx.dsl.io.fileio.open(path, "rb") as file:
            report = anomalies_pb2.Anomalies.FromString(file.read())
        if report.data_missing:
            sentences.append(f"split {split}: has no records")
        if report.dataset_anomaly_info.reason:
            sentences.append(f"split {split}: {report.dataset_anomaly_info.description}")
        for feature, info in report.anomaly_info.items():
            sentences.append(f"split {split}, feature {feature}: {info.description}")
    return sentences
