"""DataGate stops the run if the data is incomplete, does not fit the schema or is not fit to train on.

ExampleValidator checks the schema; DataGate measures the rest record by record.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies, Examples, ExampleStatistics

from components.data_gate import measurements, quality
from components.data_gate.anomalies import ANOMALIES_FILE, read_anomalies
from components.data_gate.measurements import CLASS_COUNTS, DUPLICATES, FIRST_DUPLICATES, RAREST_CLASS_SHARE, of_split
from components.data_gate.quality import Duplicate, Split
from components.example_gen.component import read_counts
from shiftvit import features
from shiftvit.dataset import read_dataset
from shiftvit.errors import DataError

STATISTICS_FILE = "FeatureStats.pb"

_LISTED_DUPLICATES = 3  # in a message

Comparisons = Mapping[str, anomalies_pb2.Anomalies]  # with split train, by the name of the other split


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
) -> None:
    """Stops the run unless the data is complete, fits the schema and keeps the limits, which are those of GateConfig.

    `drift` holds TensorFlow Data Validation's comparison of each split with train; its properties hold the
    measurements.

    Raises:
        DataError: if the statistics do not cover all images, if there are anomalies, if an image has a wrong size, or
            if a limit is exceeded. The message names every split and feature concerned.
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
    dataset = read_dataset(examples.uri)
    splits = [quality.read_split(artifact_utils.get_split_uri([examples], name), name, dataset) for name in names]
    duplicates = quality.find_duplicates(splits)
    comparisons = {
        split.name: quality.compare(splits[0], split, max_label_drift, max_image_drift) for split in splits[1:]
    }
    reasons = [
        *_find_rare_classes(splits, dataset.class_names, min_class_share),
        *_find_repeated_images(splits, duplicates, max_duplicates),
        *_find_drift(comparisons, {"max_label_drift": max_label_drift, "max_image_drift": max_image_drift}),
    ]
    _refuse("the data is not fit to train on", reasons)
    _write(drift, splits, duplicates, comparisons)


def check_counts(statistics: ExampleStatistics, counts: Mapping[str, int]) -> None:
    """Raises DataError unless the statistics cover all images; some Beam runners lose elements without an error."""
    for split, expected in counts.items():
        path = os.path.join(artifact_utils.get_split_uris([statistics], split)[0], STATISTICS_FILE)
        found = tfdv.load_stats_binary(path).datasets[0].num_examples
        if found != expected:
            raise DataError(
                f"{path}: statistics of {found:,} of the {expected:,} images of the split {split}; run again, with "
                "--beam local if you chose another runner"
            )


def _refuse(summary: str, reasons: Sequence[str]) -> None:
    if reasons:
        raise DataError(f"{summary}: {'; '.join(reasons)}")


def _find_rare_classes(splits: Sequence[Split], class_names: Sequence[str], minimum: float) -> Iterator[str]:
    found = []
    for split in splits:
        counts, least = split.class_counts, minimum * len(split.labels) / len(split.class_names)
        rare = [class_id for class_id in counts.argsort(kind="stable") if counts[class_id] < least]
        if rare:
            others = f" (the rarest of {len(rare):,} such classes)" if len(rare) > 1 else ""
            found.append(
                f"split {split.name}: class {class_names[rare[0]]} has {counts[rare[0]]:,} of {len(split.labels):,} "
                f"images, fewer than {math.ceil(least):,}{others}"
            )
    if found:
        share = minimum / len(class_names)
        yield (
            f"{', '.join(found)}; gate.min_class_share={minimum:g} of an even share of {len(class_names)} classes is "
            f"{share:.2%} of the images: add images of the class, merge it with another or remove it, or lower the "
            "setting"
        )


def _find_repeated_images(splits: Sequence[Split], duplicates: Sequence[Duplicate], maximum: float) -> Iterator[str]:
    for split in splits:
        in_split = [duplicate for duplicate in duplicates if duplicate.split == split.name]
        share = len(in_split) / len(split.labels)
        if share > maximum:
            yield (
                f"split {split.name}: {len(in_split):,} images ({share:.2%}) repeat earlier ones, such as "
                f"{_list_first(in_split)}; gate.max_duplicates={maximum:g} allows {maximum:.2%}"
            )


def _list_first(duplicates: Sequence[Duplicate]) -> str:
    return ", ".join(map(str, duplicates[:_LISTED_DUPLICATES]))


def _find_drift(comparisons: Comparisons, limits: Mapping[str, float]) -> Iterator[str]:
    for split, comparison in comparisons.items():
        for feature, info in sorted(comparison.anomaly_info.items()):
            limit = "max_label_drift" if feature == features.LABEL else "max_image_drift"
            noise = f"gate.{limit}={limits[limit]:g}, plus the noise of random splits of this size"
            yield f"split {split} against {features.TRAIN}, {feature}: {info.description} ({noise})"


def _write(
    drift: ExampleAnomalies, splits: Sequence[Split], duplicates: Sequence[Duplicate], comparisons: Comparisons
) -> None:
    """Writes the comparisons, and sets the measurements as properties of the artifact."""
    drift.split_names = artifact_utils.encode_split_names(list(comparisons))
    for name, comparison in comparisons.items():
        folder = artifact_utils.get_split_uri([drift], name)
        fileio.makedirs(folder)
        with fileio.open(os.path.join(folder, ANOMALIES_FILE), "wb") as file:
            file.write(comparison.SerializeToString())
        for feature, distance in quality.distances(comparison).items():
            drift.set_float_custom_property(of_split(name, measurements.drift(feature)), distance)
    for split in splits:
        count = sum(duplicate.split == split.name for duplicate in duplicates)
        class_counts = json.dumps(split.class_counts.tolist())
        drift.set_string_custom_property(of_split(split.name, CLASS_COUNTS), class_counts)
        drift.set_float_custom_property(of_split(split.name, RAREST_CLASS_SHARE), split.rarest_share)
        drift.set_int_custom_property(of_split(split.name, DUPLICATES), count)
    if duplicates:
        drift.set_string_custom_property(FIRST_DUPLICATES, _list_first(duplicates))
