import tensorflow as tf
from executions import artifact
from google.protobuf import text_format
from known_data import describe
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import standard_artifacts

from components.schema import SCHEMA_FILE, DatasetSchema, make_schema
from shiftvit import features

TYPES = {schema_pb2.BYTES: tf.string, schema_pb2.INT: tf.int64}


def read_schema():
    return {feature.name: feature for feature in make_schema(7).feature}


def test_schema_and_record_format_have_the_same_features():
    assert {name: TYPES[feature.type] for name, feature in read_schema().items()} == {
        name: spec.dtype for name, spec in features.feature_spec().items()
    }


def test_every_feature_is_required_with_one_value():
    for feature in read_schema().values():
        assert feature.presence.min_fraction == 1 and feature.HasField("shape") and not feature.shape.dim


def test_labels_are_the_class_ids():
    domain = read_schema()[features.LABEL].int_domain

    assert (domain.min, domain.max) == (0, 6)


def test_the_component_writes_the_schema_of_the_records_it_is_given(tmp_path):
    examples, schema = artifact(standard_artifacts.Examples, tmp_path), artifact(standard_artifacts.Schema, tmp_path)
    describe(tmp_path)

    DatasetSchema.test_call(examples=examples, schema=schema)

    written = text_format.Parse((tmp_path / SCHEMA_FILE).read_text(), schema_pb2.Schema())
    assert written == make_schema(10)
