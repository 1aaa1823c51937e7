import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.schema import SCHEMA_FILE
from shiftvit import features

TYPES = {schema_pb2.BYTES: tf.string, schema_pb2.INT: tf.int64}


def read_schema():
    schema = text_format.Parse(SCHEMA_FILE.read_text(), schema_pb2.Schema())
    return {feature.name: feature for feature in schema.feature}


def test_schema_and_record_format_have_the_same_features():
    assert {name: TYPES[feature.type] for name, feature in read_schema().items()} == {
        name: spec.dtype for name, spec in features.feature_spec().items()
    }


def test_every_feature_is_required_with_one_value():
    for feature in read_schema().values():
        assert feature.presence.min_fraction == 1 and feature.HasField("shape") and not feature.shape.dim


def test_labels_are_the_class_ids():
    domain = read_schema()[features.LABEL].int_domain

    assert (domain.min, domain.max) == (0, features.NUM_CLASSES - 1)
