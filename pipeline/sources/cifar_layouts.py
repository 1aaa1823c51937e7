"""The layouts in which CIFAR-10 and CIFAR-100 are published, with any number of images and classes.

A layout has files of training images, one of test images and one of class names, in a binary or a Python format.
"""

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from components.example_gen import records
from pipeline.sources import pickles
from shiftvit.errors import DataError
from shiftvit.files import utf8

FINE, COARSE = "fine", "coarse"  # the labels of CIFAR-100
TEST_BATCH = 0  # number of the test batch; training batches count from 1


@dataclass(frozen=True)
class Batch:
    """The images of one file."""

    records: bytes  # as in `components.example_gen.records`
    largest: int  # label
    place: str  # of that label in the file, for messages


class Format(Protocol):
    """How the files of a layout are written."""

    def check_size(self, size: int, file: str) -> None:
        """Raises DataError if no batch of the format has `size` bytes."""

    def batch(self, content: bytes, file: str) -> Batch:
        """Returns the images in a file; raises DataError, with the name `file`, if it is damaged."""

    def class_names(self, content: bytes, file: str) -> list[str]:
        """Returns what the file of class names contains; raises DataError if it is damaged."""


@dataclass(frozen=True)
class Binary:
    """Records of label bytes and pixels; the class names are lines (https://www.cs.toronto.edu/~kriz/cifar.html)."""

    labels: int = 1  # label bytes before the pixels of each record
    label: int = 0  # index of the one that is the class id

    def check_size(self, size: int, file: str) -> None:
        excess = size % self._record_bytes
        if excess:
            raise DataError(
                f"{file} has {size:,} bytes: cut inside the record at byte {size - excess}, as each takes "
                f"{self._record_bytes:,} bytes; get a complete copy"
            )

    def batch(self, content: bytes, file: str) -> Batch:
        self.check_size(len(content), file)
        rows = np.frombuffer(content, np.uint8).reshape(-1, self._record_bytes)
        labels = rows[:, self.label]
        row = int(labels.argmax())
        kept = content if self.labels == 1 else records.pack_planes(rows[:, self.labels :], labels)
        return Batch(kept, int(labels[row]), f"at byte {row * self._record_bytes + self.label}")

    def class_names(self, content: bytes, file: str) -> list[str]:
        lines = utf8.decode(content, file).split("\n")
        return [line.strip() for line in lines if line.strip()]

    @property
    def _record_bytes(self) -> int:
        return self.labels + records.IMAGE_BYTES


@dataclass(frozen=True)
class Pickled:
    """Pickled dictionaries of arrays and lists."""

    labels: str = "labels"  # key of the class ids
    names: str = "label_names"  # key of the class names

    def check_size(self, size: int, file: str) -> None:
        pass  # pickles of any size are possible

    def batch(self, content: bytes, file: str) -> Batch:
        planes, labels = pickles.batch(content, self.labels, file)
        row = int(labels.argmax())
        return Batch(records.pack_planes(planes, labels), int(labels[row]), f"of image {row}")

    def class_names(self, content: bytes, file: str) -> list[str]:
        return pickles.class_names(content, self.names, file)


@dataclass(frozen=True)
class Layout:
    """The names of the files, and their format."""

    root: str  # folder inside an archive
    train: str  # name of a file of training images; "#" stands for its number, if there may be several
    test: str
    names: str  # file of the class names
    format: Format

    def file(self, number: int) -> str:
        """Returns the name of a batch's file."""
        return self.test if number == TEST_BATCH else self.train.replace("#", str(number))

    def number(self, name: str) -> int | None:
        """Returns the number of the batch in the file `name`, or None if it has none."""
        if name == self.test:
            return TEST_BATCH
        found = re.fullmatch(re.escape(self.train).replace(r"\#", "([1-9][0-9]{0,3})"), name)
        return None if found is None else int(found.groups("1")[0]) if found.groups() else 1

    def has(self, name: str) -> bool:
        """Returns whether the layout has a file of that name."""
        return name == self.names or self.number(name) is not None

    def resembles_batch(self, name: str) -> bool:
        """Returns whether the name starts like that of a batch, where batches have numbers."""
        return "#" in self.train and name.startswith(("data_batch", "test_batch"))

    @property
    def files(self) -> str:
        """The names of all files, for messages."""
        train = f"{self.file(1)}, {self.file(2)} and so on" if "#" in self.train else self.train
        return f"{train}, {self.test} and {self.names}"


CIFAR10_BINARY = Layout("cifar-10-batches-bin", "data_batch_#.bin", "test_batch.bin", "batches.meta.txt", Binary())
CIFAR10_PYTHON = Layout("cifar-10-batches-py", "data_batch_#", "test_batch", "batches.meta", Pickled())


def layouts(labels: str) -> tuple[Layout, ...]:
    """Returns the layouts that have the labels FINE, which is also what CIFAR-10's are, or COARSE."""
    names = f"{labels}_label_names"
    byte = (COARSE, FINE).index(labels)
    cifar100 = (
        Layout("cifar-100-binary", "train.bin", "test.bin", f"{names}.txt", Binary(labels=2, label=byte)),
        Layout("cifar-100-python", "train", "test", "meta", Pickled(f"{labels}_labels", names)),
    )
    return cifar100 if labels == COARSE else (CIFAR10_BINARY, CIFAR10_PYTHON, *cifar100)
