"""Anomalies of the data, as TensorFlow Data Validation writes them. Imports neither TFX nor TensorFlow."""

from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2

from shiftvit.features import SPLITS, split_folder

ANOMALIES_FILE = "SchemaDiff.pb"  # one in each split's folder


def read_anomalies(uri: str) -> list[str]:
    """Returns a sentence for each anomaly in an ExampleAnomalies artifact, with its split and feature."""
    sentences = []
    for split in SPLITS:
        file = Path(split_folder(uri, split), ANOMALIES_FILE)
        if not file.exists():
            continue
        report = anomalies_pb2.Anomalies.FromString(file.read_bytes())
        if report.data_missing:
            sentences.append(f"split {split}: has no records")
        if report.dataset_anomaly_info.reason:
            sentences.append(f"split {split}: {report.dataset_anomaly_info.description}")
        for feature, info in sorted(report.anomaly_info.items()):
            sentences.append(f"split {split}, feature {feature}: {info.description}")
    return sentences
