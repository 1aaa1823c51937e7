"""DatasetSchema writes the schema that every record must satisfy, which ExampleValidator checks."""

import os

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import Examples, Schema

from shiftvit import features
from shiftvit.dataset import read_dataset

SCHEMA_FILE = "schema.pbtxt"  # as TFX names it


@component
def DatasetSchema(examples: InputArtifact[Examples], schema: OutputArtifact[Schema]) -> None:
    """Writes the schema of the ingested records, from the facts of their data set.

    Raises:
        DataError: if the records lack those facts.
    """
    made = make_schema(read_dataset(examples.uri).num_classes)
    with fileio.open(os.path.join(schema.uri, SCHEMA_FILE), "w") as file:
        file.write(text_format.MessageToString(made))


def make_schema(num_classes: int) -> schema_pb2.Schema:
    """Returns the schema of records with so many classes: an image and a class id, one of each."""
    always = schema_pb2.FeaturePresence(min_fraction=1.0, min_count=1)
    classes = schema_pb2.IntDomain(name="class", min=0, max=num_classes - 1, is_categorical=True)
    one = schema_pb2.FixedShape()
    image = schema_pb2.Feature(name=features.IMAGE, type=schema_pb2.BYTES, presence=always, shape=one)
    label = schema_pb2.Feature(name=features.LABEL, type=schema_pb2.INT, presence=always, shape=one, int_domain=classes)
    return schema_pb2.Schema(feature=[image, label])
