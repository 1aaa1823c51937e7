"""Reads the files of a data set in one of CIFAR's layouts, in any order, and checks them."""

from collections.abc import Callable
from pathlib import Path

from components.example_gen import records
from pipeline.sources.cifar_layouts import CIFAR10_BINARY, CIFAR10_PYTHON, TEST_BATCH, Layout
from pipeline.sources.cifar_published import BATCH_IMAGES, BATCHES, CLASS_NAMES
from shiftvit.errors import DataError

MAX_FILE_BYTES = 512 << 20  # of a batch; reading takes memory for a few copies of the largest file
_MAX_NAMES_BYTES = 64 * 1024  # of the file of class names
_MAX_NAME_LENGTH = 100  # characters of a class name
_MIN_CLASSES, _MAX_CLASSES = 2, 256
_RECOGNIZED = 4  # so many batches of CIFAR-10's size are CIFAR-10

Sink = Callable[[int, bytes], None]  # takes the number of a batch and its records


class Reader:
    """Reads one file after the other, checks each, and finally checks that none is missing."""

    def __init__(self, layout: Layout, source: Path, sink: Sink):
        self._layout, self._source, self._sink = layout, source, sink
        self._seen: set[str] = set()
        self._images: dict[int, int] = {}  # in each batch that was read, by its number
        self._class_names: tuple[str, ...] | None = None
        self._largest = (-1, "")  # label, and where it is

    def admit(self, name: str, size: int) -> bool:
        """Returns whether to read the file.

        Raises:
            DataError: the file is an unknown batch or a duplicate, or its size, in bytes, is wrong.
        """
        if not self._layout.has(name):
            if self._layout.resembles_batch(name):
                raise DataError(f"{self._source}: {name!r} is no batch of this layout, which has {self._layout.files}")
            return False
        if name in self._seen:
            raise DataError(f"{self._source}: contains {name} twice")
        file = f"{self._source}: {name}"
        if name == self._layout.names:
            if size > _MAX_NAMES_BYTES:
                raise DataError(f"{file} has {size:,} bytes, but class names take less than {_MAX_NAMES_BYTES:,}")
        else:
            _check_size(self._layout, size, file)
        self._seen.add(name)
        return True

    def check_complete(self) -> None:
        """Raises DataError if a batch was not admitted."""
        numbers = {self._layout.number(name) or TEST_BATCH for name in self._seen - {self._layout.names}}
        for number in (*range(1, max(numbers | {1}) + 1), TEST_BATCH):
            if number not in numbers:
                raise DataError(
                    f"{self._source}: {self._layout.file(number)} missing; this layout has {self._layout.files}"
                )

    def read(self, name: str, content: bytes) -> None:
        """Sends the batch in an admitted file to the sink, or keeps the class names in it."""
        file = f"{self._source}: {name}"
        if name == self._layout.names:
            self._class_names = _class_names(self._layout.format.class_names(content, file), file)
        else:
            batch, number = self._layout.format.batch(content, file), self._layout.number(name)
            assert number is not None, "the file is admitted"
            if batch.largest > self._largest[0]:
                self._largest = batch.largest, f"{file}: label {batch.largest} {batch.place}"
            self._images[number] = len(batch.records) // records.RECORD_BYTES
            self._check_labels()
            self._sink(number, batch.records)

    def finish(self) -> tuple[str, ...]:
        """Returns the class names.

        Raises:
            DataError: a file is missing, a label has no class name, or there are too few images.
        """
        self.check_complete()
        self._check_cifar10()
        if sum(self._images.values()) - self._images[TEST_BATCH] < 2:
            raise DataError(f"{self._source}: one training image; the train and the eval split need one each")
        if self._class_names is None:
            self._class_names = CLASS_NAMES
        self._check_labels()
        return self._class_names

    def _check_labels(self) -> None:
        """Raises DataError for a label without a class name. In an archive, the names may come last."""
        label, place = self._largest
        if self._class_names is not None and label >= len(self._class_names):
            raise DataError(
                f"{place}; labels are 0 to {len(self._class_names) - 1}, as {self._layout.names} has "
                f"{len(self._class_names)} names: correct the label, or add the missing names"
            )

    def _check_cifar10(self) -> None:
        """Raises DataError for a CIFAR-10 that lacks images, although its files end with a record, or for no names.

        Only CIFAR-10 itself may come without its class names.
        """
        named_as = self._layout in (CIFAR10_BINARY, CIFAR10_PYTHON) and self._class_names in (None, CLASS_NAMES)
        sizes = [self._images.get(number, 0) for number in range(BATCHES)]
        if named_as and BATCHES > sizes.count(BATCH_IMAGES) >= _RECOGNIZED:
            number = next(number for number, size in enumerate(sizes) if size != BATCH_IMAGES)
            raise DataError(
                f"{self._source}: {self._layout.file(number)} has {sizes[number]:,} images, while each of the "
                f"{BATCHES} batches of CIFAR-10 has {BATCH_IMAGES:,}; get a complete copy"
            )
        if self._class_names is None and not (named_as and sizes.count(BATCH_IMAGES) == BATCHES):
            raise DataError(f"{self._source}: {self._layout.names} missing; it has the class names, in order of labels")


def _check_size(layout: Layout, size: int, file: str) -> None:
    if size == 0:
        raise DataError(f"{file} has 0 bytes; get a complete copy")
    if size > MAX_FILE_BYTES:
        raise DataError(
            f"{file} has {size:,} bytes, but a file may have {MAX_FILE_BYTES:,} "
            f"({MAX_FILE_BYTES // records.RECORD_BYTES:,} images); use more batches, in CIFAR-10's layout"
        )
    layout.format.check_size(size, file)


def _class_names(names: list[str], file: str) -> tuple[str, ...]:
    for name in names:
        if not (name.isprintable() and 0 < len(name) <= _MAX_NAME_LENGTH):
            raise DataError(f"{file}: {name[:_MAX_NAME_LENGTH]!r} is not a valid class name")
    if not _MIN_CLASSES <= len(names) <= _MAX_CLASSES:
        raise DataError(f"{file}: {len(names):,} class names, but there must be {_MIN_CLASSES} to {_MAX_CLASSES}")
    repeated = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if repeated is not None:
        raise DataError(f"{file}: the class name {repeated!r} occurs twice; each class needs a name of its own")
    return tuple(names)
