"""Image files as a source: the list of them, which preparation writes, and their pixels, read in workers. No Beam."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.example_gen.bad_images import BadImage
from components.example_gen.blocks import Block
from shiftvit import pixels
from shiftvit.config import Resize
from shiftvit.errors import DataError, printable
from shiftvit.features import image_shape, images_at_once
from shiftvit.image_files import read_file

_BLOCK, _TASK = 1000, 50  # images in a block, fewer if they are large; images that a thread reads in turn
_DIGEST_BYTES = 8

Entry = tuple[str, int]  # path and class id of an image file


def list_file(folder: str | os.PathLike, split: str) -> str:
    """Returns the path of the list of a split's image files in the folder of a prepared source."""
    return f"{os.fspath(folder)}/{split}.jsonl"


def write_list(path: str, entries: Iterable[Entry]) -> None:
    """Writes a list, one JSON array per line."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)


def read_list(path: str) -> list[Entry]:
    """Returns what `write_list` wrote."""
    with open(path, encoding="utf-8") as file:
        return [tuple(json.loads(line)) for line in file]


@dataclass(frozen=True)
class ImageFiles:
    """Some image files, and how they are stored."""

    folder: str  # that the paths are relative to
    entries: tuple[Entry, ...]
    image_size: int  # pixels on each side of the stored images
    resize: Resize

    def blocks(self) -> Iterator[Block]:
        """Yields the images in order, but for those that do not decode, which are listed as bad.

        Raises:
            DataError: if a file cannot be read.
        """
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # Pillow decodes and resizes without Python's lock
            reading: list[tuple[Sequence[Entry], list[Future[list[_Image | BadImage]]]]] = []
            for entries in _parts(self.entries, images_at_once(self.image_size, _BLOCK)):
                reading.append((entries, [threads.submit(self._read, part) for part in _parts(entries, _TASK)]))
                if len(reading) > 1:  # while one block is used, the next is read
                    yield self._block(*reading.pop(0))
            for block in reading:
                yield self._block(*block)

    def _block(self, entries: Sequence[Entry], tasks: "Sequence[Future[list[_Image | BadImage]]]") -> Block:
        results = [result for task in tasks for result in task.result()]
        good = [
            (result, label) for result, (_, label) in zip(results, entries, strict=True) if isinstance(result, _Image)
        ]
        images = [image.pixels for image, _ in good]
        return Block(
            np.stack(images) if images else np.empty((0, *image_shape(self.image_size)), np.uint8),
            np.array([label for _, label in good], np.int64),
            tuple(result.digest if isinstance(result, _Image) else "" for result in results),
            tuple(result for result in results if isinstance(result, BadImage)),
        )

    def _read(self, entries: Sequence[Entry]) -> "list[_Image | BadImage]":
        return [self._read_one(path) for path, _ in entries]

    def _read_one(self, path: str) -> "_Image | BadImage":
        try:
            content = read_file(Path(self.folder, path))
            image = pixels.decode(content, self.image_size, self.resize)
        except OSError as error:
            raise DataError(
                f"{self.folder}/{path}: cannot be read ({error.strerror}); it could be when the run began"
            ) from error
        except DataError as error:
            return BadImage(printable(path), str(error))
        return _Image(image, hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest())


def _parts(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    """Yields consecutive parts of at most `size` entries."""
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


@dataclass(frozen=True)
class _Image:
    pixels: np.ndarray  # uint8 (size, size, 3)
    digest: str  # of the file
