"""The ExampleGen converts a source's records to TFRecord files of Examples with Beam, one element per file.

Each worker reads and writes whole shards, so no pixels pass through Beam, every runner writes the same files, and a
retried shard overwrites its own file.
"""

import math
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import tensorflow as tf
from tfx.components.util import examples_utils
from tfx.dsl.component.experimental.annotations import BeamComponentParameter, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples

from components.example_gen import measure, records
from components.example_gen.source_identity import SourceIdentity, count_property, dataset_properties
from shiftvit import progress
from shiftvit.dataset import DATASET_FILE, DatasetInfo
from shiftvit.errors import DataError
from shiftvit.features import serialize, split_folder, stored_bytes
from shiftvit.files import disk
from shiftvit.input_pipeline import count_records

_UNFINISHED = "unfinished"  # folder for incomplete files, outside the split folders, whose files are read as data
_MEASURED = ".json"  # end of the names of the measurements there


@dataclass(frozen=True)
class Shard:
    """One TFRecord file to write, and the records that go into it."""

    split: str
    num_classes: int  # of the data set
    source: str  # file of binary records
    start: int  # index of the first record
    images: int
    split_images: int  # in all shards of the split
    target: str  # path of the TFRecord file
    unfinished: str  # folder for incomplete files


def plan(identity: SourceIdentity, input_base: str, output: str, images_per_shard: int) -> list[Shard]:
    """Returns the shards of every split, in TFX's layout: `<output>/Split-<split>/data_tfrecord-00000-of-00008`."""
    shards = []
    for split, count in identity.counts.items():
        total = math.ceil(count / images_per_shard)
        source, unfinished = records.split_file(input_base, split), f"{output}/{_UNFINISHED}"
        for index in range(total):
            start = index * images_per_shard
            images = min(images_per_shard, count - start)
            target = f"{split_folder(output, split)}/data_tfrecord-{index:05d}-of-{total:05d}"
            shards.append(Shard(split, identity.num_classes, source, start, images, count, target, unfinished))
    return shards


class WriteShards(beam.PTransform):
    """Writes each Shard of its input; returns a pair (split, number of images) for each."""

    def expand(self, shards: beam.PCollection) -> beam.PCollection:
        """Distributes the shards over the workers and writes them."""
        return shards | "Spread" >> beam.Reshuffle() | "Write" >> beam.ParDo(_WriteShard())


class _WriteShard(beam.DoFn):
    def process(self, shard: Shard) -> Iterator[tuple[str, int]]:
        images, labels = _read(shard)
        # Uncompressed: zlib would take longer than everything else. Beam may run one element twice at the same time, so
        # each attempt writes to a file of its own.
        path = f"{shard.unfinished}/{uuid.uuid4().hex}"
        with tf.io.TFRecordWriter(path) as writer:
            for example in serialize(images, labels):
                writer.write(example)
        tf.io.gfile.rename(path, shard.target, overwrite=True)
        measure.measure(shard.split, images, labels, shard.num_classes).save(path)
        tf.io.gfile.rename(path, f"{shard.unfinished}/{shard.split}-{shard.start}{_MEASURED}", overwrite=True)
        progress.report(f"writing {shard.split}", shard.start + shard.images, shard.split_images, "image")
        yield shard.split, shard.images


def _read(shard: Shard) -> tuple[np.ndarray, np.ndarray]:
    offset = shard.start * records.RECORD_BYTES
    with tf.io.gfile.GFile(shard.source, "rb") as file:
        file.seek(offset)
        block = file.read(shard.images * records.RECORD_BYTES)
    images, labels = records.unpack(block, shard.num_classes, shard.source, offset)
    if len(images) != shard.images:
        raise DataError(f"{shard.source}: {len(images):,} records from byte {offset}, expected {shard.images:,}")
    return images, labels


@component(use_beam=True)
def Cifar10ExampleGen(
    examples: OutputArtifact[Examples],
    input_base: Parameter[str],
    identity: Parameter[str],
    images_per_shard: Parameter[int],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Ingests CIFAR-10, or any set in its record format, into sharded TFRecords, then counts the records on disk.

    TFX's own ExampleGens cache by file times and need a driver. This one caches by the source's identity and needs
    none, so it runs on every runner.

    Args:
        examples: the splits.
        input_base: folder with a file `<split>.bin` of binary records for each split.
        identity: a SourceIdentity as JSON.
        images_per_shard: number of images in one TFRecord file.
        beam_pipeline: made by TFX.

    Raises:
        DataError: if the number of records of a split differs from the source; the splits are removed.
        DiskFullError: if there is no room for the records; the splits are removed.
    """
    source = SourceIdentity.from_json(identity)
    needed = sum(source.counts.values()) * stored_bytes(source.image_size)
    with disk.ensure_space(examples.uri, needed, "the ingested records"):
        shards = plan(source, input_base, examples.uri, images_per_shard)
        dataset = _write(shards, source, examples.uri, beam_pipeline)
        with tf.io.gfile.GFile(f"{examples.uri}/{DATASET_FILE}", "w") as file:
            file.write(dataset.to_json())
    _describe(examples, source, dataset)


def _write(shards: list[Shard], source: SourceIdentity, output: str, beam_pipeline: beam.Pipeline) -> DatasetInfo:
    """Writes the records of all splits; returns what was measured meanwhile."""
    folders = [split_folder(output, split) for split in source.counts]
    unfinished = f"{output}/{_UNFINISHED}"
    try:
        for folder in (*folders, unfinished):
            tf.io.gfile.makedirs(folder)
        with beam_pipeline as pipeline:
            _ = pipeline | "Shards" >> beam.Create(shards, reshuffle=False) | "WriteShards" >> WriteShards()
        verify(source.counts, output)
        measured = map(measure.load, tf.io.gfile.glob(f"{unfinished}/*{_MEASURED}"))
        return measure.combine(measured, source.class_names, source.counts)
    except BaseException:
        _remove(folders)
        raise
    finally:
        _remove([unfinished])


def _remove(folders: Iterable[str]) -> None:
    for folder in filter(tf.io.gfile.exists, folders):
        tf.io.gfile.rmtree(folder)


def verify(counts: Mapping[str, int], output: str) -> None:
    """Raises DataError unless every split on disk has the expected number of records.

    Some Beam runners lose elements without an error.
    """
    for split, expected in counts.items():
        folder = split_folder(output, split)
        found = count_records([f"{folder}/*"])
        if found != expected:
            raise DataError(
                f"{folder}: {found:,} records were written of the {expected:,} images of the split "
                f"{split}; run again, with --beam local if you chose another runner"
            )


def read_counts(examples: Examples) -> dict[str, int]:
    """Returns the number of images in each split, as recorded by ingestion."""
    splits = artifact_utils.decode_split_names(examples.split_names)
    return {split: int(examples.get_custom_property(count_property(split))) for split in splits}


def _describe(examples: Examples, identity: SourceIdentity, dataset: DatasetInfo) -> None:
    """Sets the splits, the format, the identity of the source and the facts of the data as properties."""
    examples.split_names = artifact_utils.encode_split_names(list(identity.counts))
    examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
    for name, value in (identity.properties() | dataset_properties(dataset)).items():
        if isinstance(value, int):
            examples.set_int_custom_property(name, value)
        else:
            examples.set_string_custom_property(name, value)
