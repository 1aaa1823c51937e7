"""The ExampleGen converts a prepared source to TFRecord files of Examples with Beam, one element per file.

Each worker reads and writes whole shards, so no pixels pass through Beam, every runner writes the same files, and a
retried shard overwrites its own file.
"""

import functools
import operator
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence

import apache_beam as beam
import tensorflow as tf
from tfx.components.util import examples_utils
from tfx.dsl.component.experimental.annotations import BeamComponentParameter, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples

from components.example_gen import file_checks, measure
from components.example_gen.shards import Shard, plan, unfinished_folder
from components.example_gen.source_identity import SourceIdentity, count_property, dataset_properties
from shiftvit import progress
from shiftvit.dataset import DATASET_FILE, DatasetInfo
from shiftvit.errors import DataError
from shiftvit.features import serialize, split_folder, stored_bytes
from shiftvit.files import disk
from shiftvit.input_pipeline import count_records

_MEASURED = ".json"  # end of the names of the measurements among the unfinished files


class WriteShards(beam.PTransform):
    """Writes each Shard of its input; returns a pair (split, number of images) for each."""

    def expand(self, shards: beam.PCollection) -> beam.PCollection:
        """Distributes the shards over the workers and writes them."""
        return shards | "Spread" >> beam.Reshuffle() | "Write" >> beam.ParDo(_WriteShard())


class _WriteShard(beam.DoFn):
    def process(self, shard: Shard) -> Iterator[tuple[str, int]]:
        # Uncompressed: zlib would take longer than everything else. Beam may run one element twice at the same time, so
        # each attempt writes to a file of its own.
        path = f"{shard.unfinished}/{uuid.uuid4().hex}"
        measured, done = [], shard.start
        with tf.io.TFRecordWriter(path) as writer:
            for block in shard.content.blocks():
                for example in serialize(block.images, block.labels):
                    writer.write(example)
                measured.append(measure.measure(shard.split, shard.start, block, shard.num_classes))
                done += len(block.images) + len(block.bad)
                progress.report(f"writing {shard.split}", done, shard.split_images, "image")
        tf.io.gfile.rename(path, shard.target, overwrite=True)
        functools.reduce(operator.add, measured).save(path)
        tf.io.gfile.rename(path, f"{shard.unfinished}/{shard.split}-{shard.start}{_MEASURED}", overwrite=True)
        yield shard.split, shard.images


@component(use_beam=True)
def ImageExampleGen(
    examples: OutputArtifact[Examples],
    input_base: Parameter[str],
    image_folder: Parameter[str],
    identity: Parameter[str],
    images_per_shard: Parameter[int],
    max_bad_images: Parameter[int],
    beam_pipeline: BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Ingests a prepared source into sharded TFRecords, then counts the records on disk.

    TFX's own ExampleGens cache by file times and need a driver. This one caches by the source's identity and needs
    none, so it runs on every runner.

    Args:
        examples: the splits.
        input_base: folder of the prepared source: a file `<split>.bin` of binary records, or a list `<split>.jsonl` of
            image files, for each split.
        image_folder: that the paths of image files are relative to.
        identity: a SourceIdentity as JSON.
        images_per_shard: number of images in one TFRecord file.
        max_bad_images: number of image files that may be left out because they do not decode.
        beam_pipeline: made by TFX.

    Raises:
        DataError: if the number of records of a split differs from the source, a file cannot be read, too many do not
            decode, or one is in two classes; the splits are removed.
        DiskFullError: if there is no room for the records; the splits are removed.
    """
    source = SourceIdentity.from_json(identity)
    needed = sum(source.counts.values()) * stored_bytes(source.image_size)
    with disk.ensure_space(examples.uri, needed, "the ingested records"):
        shards = plan(source, input_base, image_folder, examples.uri, images_per_shard)
        dataset = _write(shards, source, examples.uri, max_bad_images, beam_pipeline)
        with tf.io.gfile.GFile(f"{examples.uri}/{DATASET_FILE}", "w") as file:
            file.write(dataset.to_json())
    _describe(examples, source, dataset)


def _write(
    shards: Sequence[Shard], source: SourceIdentity, output: str, max_bad_images: int, beam_pipeline: beam.Pipeline
) -> DatasetInfo:
    """Writes the records of all splits; returns what was measured meanwhile."""
    folders = [split_folder(output, split) for split in source.counts]
    unfinished = unfinished_folder(output)
    try:
        for folder in (*folders, unfinished):
            tf.io.gfile.makedirs(folder)
        with beam_pipeline as pipeline:
            _ = pipeline | "Shards" >> beam.Create(shards, reshuffle=False) | "WriteShards" >> WriteShards()
        names = tf.io.gfile.listdir(unfinished)
        measured = [measure.load(f"{unfinished}/{name}") for name in sorted(names) if name.endswith(_MEASURED)]
        bad = file_checks.check_decoded(measured, max_bad_images)
        file_checks.check_labels(measured, shards, source.class_names)
        counts = {split: count - len(bad.get(split, ())) for split, count in source.counts.items()}
        verify(counts, output)
        dataset = measure.combine(measured, source.class_names, counts, source.resize or "crop")
        file_checks.write(bad, output)
        return dataset
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
