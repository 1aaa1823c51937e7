"""The gate between the data and all that trains on it.

ExampleValidator finds what does not fit the schema; the rest is measured here, record by record.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies, Examples, ExampleStatistics

from components.data_gate import quality
from components.data_gate.anomalies import ANOMALIES_FILE, read_anomalies
from components.data_gate.quality import Duplicate, Split
from components.example_gen.executor import read_counts
from shiftvit import features
from shiftvit.errors import DataError

STATISTICS_FILE = "FeatureStats.pb"

_TOLD = 3  # duplicates that a sentence lists


@component
def DataGate(
    examples: InputArtifact[Examples],
    statistics: InputArtifact[ExampleStatistics],
    anomalies: InputArtifact[ExampleAnomalies],
    drift: OutputArtifact[ExampleAnomalies],
    min_class_share: Parameter[float],
    max_duplicates: Parameter[float],
    max_label_drift: Parameter[float],
    max_image_drift: Parameter[float],
):
    """Fails the run when the data is not fit to train on, or was not seen whole; the limits are those of GateConfig.

    `drift` gets TensorFlow Data Validation's comparison of each split with train, and as properties what was measured.

    Raises:
        DataError: with every anomaly, its split and its feature; the split of whose images some were not seen; the
            image that does not decode; or every limit that is exceeded, and by what.
    """
    check_counts(statistics, read_counts(examples))
    _refuse("the data does not fit the schema", read_anomalies(anomalies.uri))
    check_records(examples, drift, min_class_share, max_duplicates, max_label_drift, max_image_drift)


def check_records(
    examples: Examples,
    drift: ExampleAnomalies,
    min_class_share: float,
    max_duplicates: float,
    max_label_drift: float,
    max_image_drift: float,
) -> None:
    """Measures every record, which must fit the schema, and writes `drift`. Arguments and errors are DataGate's."""
    counts = read_counts(examples)
    names = [name for name in features.SPLITS if name in counts]  # train first: the others are compared with it
    splits = [quality.read_split(artifact_utils.get_split_uri([examples], name), name) for name in names]
    duplicates = quality.find_duplicates(splits)
    compared = {split.name: quality.compare(splits[0], split, max_label_drift, max_image_drift) for split in splits[1:]}
    _refuse(
        "the data is not fit to train on",
        [
            *_rare_classes(splits, min_class_share),
            *_repeated_images(splits, duplicates, max_duplicates),
            *_differing_splits(compared),
        ],
    )
    _write(drift, compared)
    _describe(drift, splits, duplicates, compared)


def check_counts(statistics: ExampleStatistics, counts: Mapping[str, int]) -> None:
    """Raises DataError unless the statistics are those of all images: runners of Beam have been seen to lose some."""
    for split, expected in counts.items():
        path = os.path.join(artifact_utils.get_split_uris([statistics], split)[0], STATISTICS_FILE)
        found = tfdv.load_stats_binary(path).datasets[0].num_examples
        if found != expected:
            raise DataError(
                f"{path}: statistics of {found:,} of the {expected:,} images of the split {split}; run again, with "
                "--beam local if you chose another"
            )


def _refuse(what: str, sentences: Sequence[str]) -> None:
    if sentences:
        raise DataError(f"{what}: {'; '.join(sentences)}")


def _rare_classes(splits: Sequence[Split], smallest: float) -> Iterator[str]:
    for split in splits:
        share, class_id = split.least_class_share
        if share < smallest:
            yield (
                f"split {split.name}: {share:.2%} of the images are of class {class_id}, where "
                f"gate.min_class_share={smallest:g} asks for {smallest:.2%}"
            )


def _repeated_images(splits: Sequence[Split], duplicates: Sequence[Duplicate], largest: float) -> Iterator[str]:
    for split in splits:
        of_split = [duplicate for duplicate in duplicates if duplicate.split == split.name]
        share = len(of_split) / len(split.labels)
        if share > largest:
            yield (
                f"split {split.name}: {len(of_split):,} images ({share:.2%}) repeat earlier ones, such as "
                f"{_list_first(of_split)}, where gate.max_duplicates={largest:g} allows {largest:.2%}"
            )


def _list_first(duplicates: Sequence[Duplicate]) -> str:
    return ", ".join(map(str, duplicates[:_TOLD]))


def _differing_splits(compared: Mapping[str, anomalies_pb2.Anomalies]) -> Iterator[str]:
    for split, report in compared.items():
        for feature, info in sorted(report.anomaly_info.items()):
            limit = "max_label_drift" if feature == features.LABEL else "max_image_drift"
            yield f"split {split} against {features.TRAIN}, {feature}: {info.description} (gate.{limit})"


def _write(drift: ExampleAnomalies, compared: Mapping[str, anomalies_pb2.Anomalies]) -> None:
    drift.split_names = artifact_utils.encode_split_names(list(compared))
    for split, report in compared.items():
        folder = artifact_utils.get_split_uri([drift], split)
        fileio.makedirs(folder)
        with fileio.open(os.path.join(folder, ANOMALIES_FILE), "wb") as file:
            file.write(report.SerializeToString())


def _describe(
    drift: ExampleAnomalies,
    splits: Sequence[Split],
    duplicates: Sequence[Duplicate],
    compared: Mapping[str, anomalies_pb2.Anomalies],
) -> None:
    """Says in ML Metadata what was measured."""
    for split in splits:
        drift.set_string_custom_property(f"{split.name}_class_counts", json.dumps(split.class_counts.tolist()))
        drift.set_float_custom_property(f"{split.name}_least_class_share", split.least_class_share[0])
        drift.set_int_custom_property(f"{split.name}_duplicates", sum(d.split == split.name for d in duplicates))
    if duplicates:
        drift.set_string_custom_property("first_duplicates", _list_first(duplicates))
    for split, report in compared.items():
        for feature, distance in quality.distances(report).items():
            drift.set_float_custom_property(f"{split}_{feature}_drift", distance)
