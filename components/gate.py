"""The gate between the data and all that trains on it: ExampleValidator finds anomalies, this node stops on them."""

import os

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx
from tfx.types import artifact_utils

from shiftvit.errors import DataError

ANOMALIES_FILE = "SchemaDiff.pb"


@tfx.dsl.components.component
def DataGate(anomalies: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleAnomalies]):
    """Fails the run when any split has an anomaly.

    Raises:
        DataError: with every anomaly, its split and its feature.
    """
    found = find_anomalies(anomalies)
    if found:
        raise DataError("the data does not fit the schema: " + "; ".join(found))


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
