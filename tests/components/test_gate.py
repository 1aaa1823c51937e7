"""Real statistics of good and bad records, validated by TFX's own ExampleValidator, before the gate."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from apache_beam.options.pipeline_options import PipelineOptions
from tfx.components.example_validator.executor import Executor as Validator
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import artifact_utils, standard_artifacts

from components import gate
from components.schema import SCHEMA_FILE
from shiftvit.errors import DataError
from shiftvit.features import IMAGE_SHAPE, encode

IN_THIS_PROCESS = PipelineOptions(["--runner=FnApiRunner"])
BLACK = np.zeros(IMAGE_SHAPE, np.uint8)


def record(label=3, without=()):
    """Returns a record with `label`, which need not be a class id, and without the features named."""
    example = tf.train.Example.FromString(encode(BLACK, 0))
    example.features.feature["label"].int64_list.value[0] = label
    for name in without:
        del example.features.feature[name]
    return example.SerializeToString()


GOOD = [record(label) for label in range(10)]


def validate(folder, **splits):
    """Returns the ExampleStatistics, and the ExampleAnomalies that TFX writes for the records of each split."""
    statistics, schema, anomalies = (
        kind()
        for kind in (
            standard_artifacts.ExampleStatistics,
            standard_artifacts.Schema,
            standard_artifacts.ExampleAnomalies,
        )
    )
    for artifact in (statistics, schema, anomalies):
        artifact.uri = str(folder / artifact.type_name)
    (folder / "Schema").mkdir()
    (folder / "Schema" / "schema.pbtxt").write_text(SCHEMA_FILE.read_text())
    statistics.split_names = artifact_utils.encode_split_names(list(splits))
    for split, records in splits.items():
        with tf.io.TFRecordWriter(str(folder / split)) as writer:
            for serialized in records:
                writer.write(serialized)
        (folder / "ExampleStatistics" / f"Split-{split}").mkdir(parents=True)
        found = tfdv.generate_statistics_from_tfrecord(str(folder / split), pipeline_options=IN_THIS_PROCESS)
        path = folder / "ExampleStatistics" / f"Split-{split}" / "FeatureStats.pb"
        path.write_bytes(found.SerializeToString())
    Validator(BaseExecutor.Context(tmp_dir=str(folder), unique_id="1")).Do(
        {"statistics": [statistics], "schema": [schema]}, {"anomalies": [anomalies]}, {"exclude_splits": "[]"}
    )
    return statistics, anomalies


def run_gate(validated, **counts):
    statistics, anomalies = validated
    examples = standard_artifacts.Examples()
    examples.split_names = artifact_utils.encode_split_names(list(counts))
    for split, count in counts.items():
        examples.set_int_custom_property(f"count_{split}", count)
    gate.DataGate.EXECUTOR_SPEC.executor_class().Do(
        {"examples": [examples], "statistics": [statistics], "anomalies": [anomalies]}, {}, {}
    )


def test_good_records_pass(tmp_path):
    run_gate(validate(tmp_path, train=GOOD, eval=GOOD), train=10, eval=10)


@pytest.mark.parametrize(
    "bad, sentence",
    [
        (record(10), "split eval, feature label: .*10"),
        (record(-1), "split eval, feature label: .*-1"),
        (record(without=["image"]), "split eval, feature image: "),
        (record().replace(b"image", b"pixel"), "split eval, feature pixel: "),
    ],
    ids=["label too large", "label negative", "no image", "another feature"],
)
def test_a_bad_record_in_any_split_stops_the_run_by_split_and_feature(tmp_path, bad, sentence):
    anomalies = validate(tmp_path, train=GOOD, eval=[*GOOD, bad])

    with pytest.raises(DataError, match=f"the data does not fit the schema: .*{sentence}"):
        run_gate(anomalies)


def test_a_split_without_records_stops_the_run(tmp_path):
    with pytest.raises(DataError, match="split eval: has no records"):
        run_gate(validate(tmp_path, train=GOOD, eval=[]))


@pytest.mark.parametrize("count", [9, 11])
def test_statistics_of_fewer_or_more_images_than_the_split_has_stop_the_run(tmp_path, count):
    with pytest.raises(DataError, match=rf"FeatureStats.pb: statistics of 10 of the {count} images of the split eval"):
        run_gate(validate(tmp_path, train=GOOD, eval=GOOD), train=10, eval=count)
