"""Anomalies of the data, as TensorFlow Data Validation writes them. Imports neither TFX nor TensorFlow."""

from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2

ANOMALIES_FILE = "SchemaDiff.pb"  # one in each split's folder
_SPLIT = "Split-"


def read_anomalies(uri: str) -> list[str]:
    """Returns a sentence for each anomaly in an ExampleAnomalies artifact, with its split and feature."""
    sentences = []
    for file in sorted(Path(uri).glob(f"{_SPLIT}*/{ANOMALIES_FILE}")):
        split = file.parent.name.removeprefix(_SPLIT)
        report = anomalies_pb2.Anomalies.FromString(file.read_bytes())
        if report.data_missing:
            sentences.append(f"split {split}: has no records")
        if report.dataset_anomaly_info.reason:
            sentences.append(f"split {split}: {report.dataset_anomaly_info.description}")
        for feature, info in sorted(report.anomaly_info.items()):
            sentences.append(f"split {split}, feature {feature}: {info.description}")
    return sentences
