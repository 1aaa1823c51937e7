"""The shards of a prepared source: which images go into which TFRecord file. No Beam."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import tensorflow as tf

from components.example_gen import image_files, records
from components.example_gen.blocks import Block
from components.example_gen.image_files import ImageFiles
from components.example_gen.source_identity import SourceIdentity
from shiftvit.errors import DataError
from shiftvit.features import split_folder


@dataclass(frozen=True)
class Records:
    """A range of the binary records of a split."""

    file: str
    start: int  # index of the first record
    count: int
    num_classes: int  # of the data set

    def blocks(self) -> Iterator[Block]:
        """Yields the images, in one block.

        Raises:
            DataError: if the file ends before them, or has an invalid label.
        """
        offset = self.start * records.RECORD_BYTES
        with tf.io.gfile.GFile(self.file, "rb") as file:
            file.seek(offset)
            block = file.read(self.count * records.RECORD_BYTES)
        images, labels = records.unpack(block, self.num_classes, self.file, offset)
        if len(images) != self.count:
            raise DataError(f"{self.file}: {len(images):,} records from byte {offset}, expected {self.count:,}")
        yield Block(images, labels)


@dataclass(frozen=True)
class Shard:
    """One TFRecord file to write, and the images that go into it."""

    split: str
    num_classes: int  # of the data set
    content: Records | ImageFiles
    start: int  # index of the first image in the split
    images: int
    split_images: int  # in all shards of the split
    target: str  # path of the TFRecord file
    unfinished: str  # folder for incomplete files


def plan(
    identity: SourceIdentity, input_base: str, image_folder: str, output: str, images_per_shard: int
) -> list[Shard]:
    """Returns the shards of every split, in TFX's layout: `<output>/Split-<split>/data_tfrecord-00000-of-00008`.

    Args:
        identity: of the source.
        input_base: folder of the prepared source.
        image_folder: that the paths of image files are relative to.
        output: folder of the Examples artifact; incomplete files go to `unfinished_folder` of it.
        images_per_shard: images in a TFRecord file.
    """
    shards = []
    for split, count in identity.counts.items():
        total = math.ceil(count / images_per_shard)
        entries = image_files.read_list(image_files.list_file(input_base, split)) if identity.resize else []
        for index in range(total):
            start = index * images_per_shard
            images = min(images_per_shard, count - start)
            content = (
                ImageFiles(image_folder, tuple(entries[start : start + images]), identity.image_size, identity.resize)
                if identity.resize
                else Records(records.split_file(input_base, split), start, images, identity.num_classes)
            )
            target = f"{split_folder(output, split)}/data_tfrecord-{index:05d}-of-{total:05d}"
            unfinished = unfinished_folder(output)
            shards.append(Shard(split, identity.num_classes, content, start, images, count, target, unfinished))
    return shards


def unfinished_folder(output: str) -> str:
    """Returns the folder for incomplete files: outside the folders of the splits, whose files are read as data."""
    return f"{output}/unfinished"
