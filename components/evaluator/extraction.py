"""Has the Evaluator measure each test image and one corrupted copy of it.

TFX's Evaluator imports this module by its `module_path` and calls `custom_extractors`.
"""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx_bsl.tfxio import tensor_adapter

from components.evaluator.corruptions import CORRUPTIONS, choose
from shiftvit import features

CORRUPTION = "corruption"  # the feature by which TFMA slices: the name of a corruption, or CLEAN
CLEAN = "none"

Extracts = dict[str, Any]


def custom_extractors(
    eval_shared_model: list[tfma.types.EvalSharedModel],
    eval_config: config_pb2.EvalConfig,
    tensor_adapter_config: tensor_adapter.TensorAdapterConfig | None,
) -> list[tfma.extractors.Extractor]:
    """Returns TFMA's default extractors, after those that add the corrupted copies."""
    return [
        tfma.extractors.Extractor("SplitBatches", beam.FlatMap(split_batch)),
        tfma.extractors.Extractor("AddCorrupted", beam.Map(add_corrupted)),
        *tfma.default_extractors(
            eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
        ),
    ]


def split_batch(extracts: Extracts) -> Iterator[Extracts]:
    """Splits a batch, which Beam lets grow to 1,000 images of any size, into ones that memory holds decoded."""
    batch = extracts[tfma.ARROW_RECORD_BATCH_KEY]
    [first] = batch.column(tfma.constants.ARROW_INPUT_COLUMN)[0].as_py()
    at_once = features.images_at_once(features.stored_size(first), batch.num_rows)
    for start in range(0, batch.num_rows, at_once):
        yield extracts | {tfma.ARROW_RECORD_BATCH_KEY: batch.slice(start, at_once)}


def add_corrupted(extracts: Extracts) -> Extracts:
    """Doubles a batch: its records, then a corrupted copy of each, with the features LABEL and CORRUPTION.

    The image is no feature: the model parses the serialized records itself.
    """
    batch = extracts[tfma.ARROW_RECORD_BATCH_KEY]
    records = np.asarray(batch.column(tfma.constants.ARROW_INPUT_COLUMN).flatten())
    images, labels = (part.numpy() for part in features.parse(tf.constant(records), features.stored_size(records[0])))
    names = [choose(image) for image in images]
    copies = [CORRUPTIONS[name](image) for name, image in zip(names, images, strict=True)]
    encoded = features.serialize(np.stack(copies), labels)
    others = {key: value for key, value in extracts.items() if key != tfma.ARROW_RECORD_BATCH_KEY}
    return others | {
        tfma.INPUT_KEY: np.array([*records, *encoded], dtype=object),
        tfma.FEATURES_KEY: {
            features.LABEL: np.tile(labels, 2)[:, None],
            CORRUPTION: np.array([CLEAN] * len(names) + names)[:, None],
        },
    }
