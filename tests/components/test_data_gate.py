"""DataGate on statistics and anomalies that TFX's own components compute from good and bad records."""

import contextlib
import json
from dataclasses import asdict

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from apache_beam.options.pipeline_options import PipelineOptions
from executions import artifact, context
from google.protobuf import text_format
from known_data import IMAGE_SHAPE, NUM_CLASSES, describe
from tfx.components.example_validator.executor import Executor as Validator
from tfx.types import artifact_utils, standard_artifacts

from components.data_gate import component
from components.data_gate.quality import Split, label_noise
from components.schema import SCHEMA_FILE, make_schema
from pipeline.config.settings import GateConfig
from shiftvit.errors import DataError
from shiftvit.features import encode

IN_THIS_PROCESS = PipelineOptions(["--runner=FnApiRunner"])
LIMITS = asdict(GateConfig())


def draw(count, seed):
    """Returns images of noise, no two alike, and labels with equal shares of the classes."""
    images = np.random.default_rng(seed).integers(0, 256, (count, *IMAGE_SHAPE), np.uint8)
    return images, np.arange(count) % 10


def serialize(images, labels):
    return [encode(image, int(label)) for image, label in zip(images, labels, strict=True)]


def record(label=3, without=(), pixels=None):
    """Returns a record with any `label` and `pixels`, valid or not, and without the features named."""
    example = tf.train.Example.FromString(encode(np.zeros(IMAGE_SHAPE, np.uint8), 0))
    example.features.feature["label"].int64_list.value[0] = label
    if pixels is not None:
        example.features.feature["image"].bytes_list.value[0] = pixels
    for name in without:
        del example.features.feature[name]
    return example.SerializeToString()


GOOD = serialize(*draw(20, 0))
OTHER = serialize(*draw(20, 1))


def write(folder, **splits):
    """Writes the records of each split; returns their Examples artifact."""
    examples = artifact(standard_artifacts.Examples, folder / "Examples")
    examples.split_names = artifact_utils.encode_split_names(list(splits))
    for split, records in splits.items():
        examples.set_int_custom_property(f"count_{split}", len(records))
        (folder / "Examples" / f"Split-{split}").mkdir(parents=True)
        with tf.io.TFRecordWriter(f"{folder}/Examples/Split-{split}/data_tfrecord-00000-of-00001") as writer:
            for serialized in records:
                writer.write(serialized)
    describe(folder / "Examples")
    return examples


def validate(folder, **splits):
    """Writes the records of each split; returns the inputs of DataGate, computed with TFX."""
    examples = write(folder, **splits)
    statistics, schema, anomalies = (
        artifact(kind, folder / kind.TYPE_NAME)
        for kind in (
            standard_artifacts.ExampleStatistics,
            standard_artifacts.Schema,
            standard_artifacts.ExampleAnomalies,
        )
    )
    (folder / "Schema").mkdir()
    (folder / "Schema" / SCHEMA_FILE).write_text(text_format.MessageToString(make_schema(NUM_CLASSES)))
    statistics.split_names = examples.split_names
    for split in splits:
        (folder / "ExampleStatistics" / f"Split-{split}").mkdir(parents=True)
        found = tfdv.generate_statistics_from_tfrecord(
            f"{folder}/Examples/Split-{split}/*", pipeline_options=IN_THIS_PROCESS
        )
        path = folder / "ExampleStatistics" / f"Split-{split}" / "FeatureStats.pb"
        path.write_bytes(found.SerializeToString())
    Validator(context(folder)).Do(
        {"statistics": [statistics], "schema": [schema]}, {"anomalies": [anomalies]}, {"exclude_splits": "[]"}
    )
    return {"examples": [examples], "statistics": [statistics], "anomalies": [anomalies]}


def run_gate(folder, inputs):
    """Runs DataGate; returns its artifact `drift`."""
    drift = artifact(standard_artifacts.ExampleAnomalies, folder / "drift")
    component.DataGate.EXECUTOR_SPEC.executor_class().Do(inputs, {"drift": [drift]}, LIMITS)
    return drift


def check(folder, limits=None, **splits):
    """Measures records that fit the schema; returns the artifact `drift`."""
    drift = artifact(standard_artifacts.ExampleAnomalies, folder / "drift")
    component.check_records(write(folder, **splits), drift, **(LIMITS | (limits or {})))
    return drift


def test_good_records_pass_and_their_measurements_are_recorded(tmp_path):
    drift = run_gate(tmp_path, validate(tmp_path, train=GOOD, eval=OTHER))

    assert drift.get_int_custom_property("train_duplicates") == drift.get_int_custom_property("eval_duplicates") == 0
    assert drift.get_float_custom_property("eval_least_class_share") == pytest.approx(0.1)
    counted = json.loads(drift.get_string_custom_property("eval_class_counts"))
    assert counted == np.bincount(draw(20, 1)[1], minlength=10).tolist()
    assert drift.get_float_custom_property("eval_label_drift") == 0
    assert 0 < drift.get_float_custom_property("eval_contrast_drift") < 1
    assert (tmp_path / "drift" / "Split-eval" / "SchemaDiff.pb").exists()


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
def test_bad_record_stops_the_run_and_names_split_and_feature(tmp_path, bad, sentence):
    with pytest.raises(DataError, match=f"the data does not fit the schema: .*{sentence}"):
        run_gate(tmp_path, validate(tmp_path, train=GOOD, eval=[*OTHER, bad]))


def test_split_without_records_stops_the_run(tmp_path):
    with pytest.raises(DataError, match="split eval: has no records"):
        run_gate(tmp_path, validate(tmp_path, train=GOOD, eval=[]))


@pytest.mark.parametrize("count", [19, 21])
def test_statistics_that_do_not_cover_the_split_stop_the_run(tmp_path, count):
    inputs = validate(tmp_path, train=GOOD, eval=OTHER)
    inputs["examples"][0].set_int_custom_property("count_eval", count)

    with pytest.raises(DataError, match=rf"FeatureStats.pb: statistics of 20 of the {count} images of the split eval"):
        run_gate(tmp_path, inputs)


@pytest.mark.parametrize("size", [0, 3071, 3073, 6144])
def test_image_of_the_wrong_size_stops_the_run_and_names_its_position(tmp_path, size):
    with pytest.raises(DataError, match=f"split eval, image 20: {size:,} bytes, but an image has 3,072"):
        check(tmp_path, train=GOOD, eval=[*OTHER, record(pixels=bytes(size))])


def test_duplicates_within_and_across_splits_stop_the_run(tmp_path):
    splits = {"train": [*GOOD, GOOD[3]], "eval": [GOOD[5], *OTHER], "test": serialize(*draw(20, 2))}

    with pytest.raises(DataError) as caught:
        check(tmp_path, **splits)

    message = str(caught.value)
    assert "split train: 1 images (4.76%) repeat earlier ones, such as train 20 is train 3; " in message
    assert "split eval: 1 images (4.76%) repeat earlier ones, such as eval 0 is train 5; " in message
    assert "gate.max_duplicates=0.01 allows 1.00%" in message and "split test" not in message


def test_duplicates_within_the_limit_pass_and_are_recorded(tmp_path):
    splits = {"train": GOOD, "eval": OTHER, "test": [*serialize(*draw(20, 2)), OTHER[7]]}

    drift = check(tmp_path, {"max_duplicates": 0.05}, **splits)

    assert drift.get_int_custom_property("test_duplicates") == 1
    assert drift.get_string_custom_property("first_duplicates") == "test 20 is eval 7"


def test_rare_class_stops_the_run_and_is_named_with_the_way_out(tmp_path):
    images, labels = draw(40, 1)
    labels[labels == 6] = 5
    labels[np.flatnonzero(labels == 2)[:3]] = 5

    with pytest.raises(DataError) as caught:
        check(tmp_path, {"max_label_drift": 1.0}, train=GOOD, eval=serialize(images, labels))

    assert str(caught.value) == (
        "the data is not fit to train on: split eval: class frog has 0 of 40 images, fewer than 2 (the rarest of 2 "
        "such classes); gate.min_class_share=0.5 of an even share of 10 classes is 5.00% of the images: add images of "
        "the class, merge it with another or remove it, or lower the setting"
    )


@pytest.mark.parametrize(("removed", "passes"), [(2, True), (3, False)])
def test_class_may_have_half_of_an_even_share(tmp_path, removed, passes):
    """Of 40 images in 10 classes, 4 are an even share."""
    images, labels = draw(40, 1)
    labels[np.flatnonzero(labels == 6)[:removed]] = 5

    with contextlib.nullcontext() if passes else pytest.raises(DataError, match="class frog has 1 of 40 images"):
        check(tmp_path, {"max_label_drift": 1.0}, train=GOOD, eval=serialize(images, labels))


def test_label_drift_stops_the_run(tmp_path):
    images, labels = draw(1000, 1)
    labels[:150] = 9  # the share grows from 0.1 to 0.235; noise explains 0.03 of that
    train = draw(2000, 0)

    with pytest.raises(
        DataError, match=r"eval against train, label: .*0\.135.*truck.*\(gate.max_label_drift=0.05, plus"
    ):
        check(tmp_path, {"min_class_share": 0.0}, train=serialize(*train), eval=serialize(images, labels))


def test_label_drift_of_small_splits_passes_as_chance(tmp_path):
    images, labels = draw(100, 1)
    labels[np.flatnonzero(labels < 7)[:7]] = 9  # the share grows from 0.1 to 0.17, and noise explains 0.12

    check(tmp_path, train=serialize(*draw(200, 0)), eval=serialize(images, labels))


def measured(labels, num_classes):
    """Returns a split with nothing but labels."""
    return Split("", tuple(map(str, range(num_classes))), labels, (), np.zeros((len(labels), 4)))


@pytest.mark.parametrize("num_classes", [2, 7, 100])
def test_splits_drawn_at_random_differ_by_no_more_than_the_allowed_noise(num_classes):
    random = np.random.default_rng(num_classes)
    exceeded = 0
    for _ in range(1000):
        train, other = (measured(random.integers(0, num_classes, count), num_classes) for count in (2400, 300))
        difference = train.class_counts / 2400 - other.class_counts / 300
        exceeded += np.abs(difference).max() > label_noise(train, other)

    assert exceeded <= 20, "in one case of a hundred"


def test_allowed_noise_is_small_for_large_splits():
    train, other = (measured(np.arange(count) % 10, 10) for count in (40_000, 10_000))

    assert label_noise(train, other) == pytest.approx(0.011, abs=5e-4)


@pytest.mark.parametrize(
    "spoil, feature",
    [(lambda images: images // 2, "contrast"), (lambda images: images // (1, 1, 2), "blue")],
    ids=["darker", "less blue"],
)
def test_image_drift_stops_the_run(tmp_path, spoil, feature):
    images, labels = draw(200, 1)

    with pytest.raises(DataError, match=rf"split test against train, {feature}: .*\(gate.max_image_drift=0.1"):
        check(
            tmp_path,
            train=serialize(*draw(200, 0)),
            eval=serialize(*draw(100, 2)),
            test=serialize(spoil(images).astype(np.uint8), labels),
        )
