"""Turns the batches of CIFAR's layouts into splits, whatever their sizes and in whatever order they are read."""

import shutil
from collections.abc import Callable
from pathlib import Path

from components.example_gen import records
from pipeline.sources.cifar_reader import Sink
from shiftvit.features import EVAL, TEST, TRAIN

EVAL_SHARE = 5  # of one training batch alone, the last image in so many is held out for the eval split
_CHUNK = 1 << 20


def write(
    folder: Path, read: Callable[[Sink], tuple[str, ...]], write_block: Callable[[str, int, bytes], None]
) -> tuple[str, ...]:
    """Writes the splits of a source into a folder, and returns the class names.

    The test batch is the test split. The last training batch is the eval split, and of one training batch alone its
    last fifth.

    Args:
        folder: where `write_block` writes.
        read: sends each batch to a sink, and returns the class names.
        write_block: takes the name of a file, without its ending; the index of a record in it; and records.

    Raises:
        DataError: `read` raises it.
    """
    numbers: set[int] = set()

    def sink(number: int, block: bytes) -> None:
        numbers.add(number)
        write_block(f"batch-{number}", 0, block)

    class_names = read(sink)
    test, *training = (Path(records.split_file(folder, f"batch-{number}")) for number in sorted(numbers))
    test.rename(records.split_file(folder, TEST))
    _join(training, Path(records.split_file(folder, TRAIN)), Path(records.split_file(folder, EVAL)))
    return class_names


def _join(batches: list[Path], train: Path, held_out: Path) -> None:
    """Joins the batches to the train split, except for the eval split."""
    first, *more = batches
    if more:
        more.pop().rename(held_out)
    else:
        _move_end(first, held_out)
    for batch in more:
        with batch.open("rb") as source, first.open("ab") as target:
            shutil.copyfileobj(source, target, _CHUNK)
        batch.unlink()
    first.rename(train)


def _move_end(batch: Path, target: Path) -> None:
    """Moves the last images of a batch, which has two at least, to a file of their own."""
    images = batch.stat().st_size // records.RECORD_BYTES
    kept = images - max(1, images // EVAL_SHARE)
    with batch.open("r+b") as source, target.open("wb") as end:
        source.seek(kept * records.RECORD_BYTES)
        shutil.copyfileobj(source, end, _CHUNK)
        source.truncate(kept * records.RECORD_BYTES)
