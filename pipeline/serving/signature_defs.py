"""The signatures of a SavedModel as JSON. Imports TensorFlow when called."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import serving_folder
from shiftvit.stack import CLASSIC, STACK

# Protobuf 5 has another name for it.
_WITH_DEFAULTS = "including_default_value_fields" if STACK == CLASSIC else "always_print_fields_with_no_presence"


def read_signature_defs(folder: Path) -> Mapping[str, Any]:
    """Returns them as TensorFlow Serving does: with the original field names, and fields that have default values."""
    from google.protobuf import json_format
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / serving_folder.MODEL_FILE).read_bytes())
    options = {_WITH_DEFAULTS: True, "preserving_proto_field_name": True}
    signatures = saved.meta_graphs[0].signature_def.items()
    return {name: json_format.MessageToDict(signature, **options) for name, signature in signatures}
