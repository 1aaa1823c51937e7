"""What a prepared source holds, for people: counts, sizes, formats, duplicates, and a picture of some images."""

import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from components.example_gen import image_files, records
from pipeline.sources import samples
from pipeline.sources.prepare import Source
from shiftvit import progress
from shiftvit.errors import DataError, printable
from shiftvit.files import atomic
from shiftvit.image_container import damaged, read_container
from shiftvit.image_files import read_file

SAMPLES_FILE = "samples.svg"  # in the folder of the prepared source
_LISTED = 3  # files in an example of what was found
_TURNED = range(5, 9)  # EXIF's orientations in which width and height change places
_BLOCK = 1000  # images between two reports of progress


@dataclass(frozen=True)
class Summary:
    """What a source holds. Nothing is decoded for it but the samples."""

    class_counts: dict[str, tuple[int, ...]]  # images by class id, for each split
    sizes: tuple[str, str, str]  # the smallest, median and largest image by area, as WIDTHxHEIGHT
    forms: dict[str, int]  # images by format and colour mode
    duplicates: int  # images whose file, or stored pixels, repeat those of an earlier image
    first_duplicates: tuple[str, ...]
    in_two_classes: int  # of these, images whose class differs from the earlier image's
    first_in_two_classes: tuple[str, ...]
    not_images: tuple[str, ...]  # files that are no images by their first bytes, with the reason
    samples: str  # path of a picture of some images


@dataclass(frozen=True)
class _Facts:
    """Facts of one image."""

    name: str
    split: str
    label: int
    digest: bytes
    width: int = 0
    height: int = 0
    form: str = ""
    error: str = ""  # why it is no image


def summarise(source: Source) -> Summary:
    """Reads the files or records of a source, and draws the samples into its folder.

    Raises:
        DataError: if a file cannot be read.
    """
    identity = source.identity
    facts = list(_file_facts(source) if identity.resize else _record_facts(source))
    images = [fact for fact in facts if not fact.error]
    counts = Counter((fact.split, fact.label) for fact in images)
    repeats = list(_repeats(images))
    mixed = [(first, again) for first, again in repeats if first.label != again.label]
    by_area = sorted(images, key=lambda fact: fact.width * fact.height)
    picked = [by_area[index] for index in (0, len(by_area) // 2, -1)] if by_area else []
    smallest, median, largest = [f"{fact.width}x{fact.height}" for fact in picked] or [""] * 3
    path = source.folder / SAMPLES_FILE
    atomic.write_file(path, samples.picture(source))
    return Summary(
        {split: tuple(counts[split, k] for k in range(identity.num_classes)) for split in identity.counts},
        (smallest, median, largest),
        dict(Counter(fact.form for fact in images).most_common()),
        len(repeats),
        _describe(repeats),
        len(mixed),
        _describe(mixed),
        tuple(f"{fact.name}: {fact.error}" for fact in facts if fact.error),
        str(path),
    )


def _repeats(images: Iterable[_Facts]) -> Iterator[tuple[_Facts, _Facts]]:
    """Yields each image that repeats an earlier one, after the earlier one."""
    first: dict[bytes, _Facts] = {}
    for fact in images:
        earlier = first.setdefault(fact.digest, fact)
        if earlier is not fact:
            yield earlier, fact


def _describe(pairs: list[tuple[_Facts, _Facts]]) -> tuple[str, ...]:
    return tuple(f"{again.name} is {first.name}" for first, again in pairs[:_LISTED])


def _file_facts(source: Source) -> Iterator[_Facts]:
    total, done = sum(source.identity.counts.values()), 0
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for split in source.identity.counts:
            entries = image_files.read_list(image_files.list_file(source.folder, split))
            for start in range(0, len(entries), _BLOCK):
                block = entries[start : start + _BLOCK]
                yield from threads.map(lambda entry, split=split: _facts_of(source, split, *entry), block)
                done += len(block)
                progress.report("reading images", done, total, "image")


def _facts_of(source: Source, split: str, path: str, label: int) -> _Facts:
    name = printable(path)
    try:
        content = read_file(source.image_folder / path)
    except OSError as error:
        raise DataError(f"{source.image_folder / path}: cannot be read ({error.strerror})") from error
    except DataError as error:
        return _Facts(name, split, label, b"", error=str(error))
    digest = hashlib.blake2b(content, digest_size=16).digest()
    try:
        container = read_container(content)
        with Image.open(io.BytesIO(container.content), formats=[container.kind]) as image:
            form = f"{container.kind} {image.mode}"
    except UnidentifiedImageError:
        return _Facts(name, split, label, digest, error=str(damaged(container.kind, "its header cannot be read")))
    except (DataError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return _Facts(name, split, label, digest, error=str(error))
    width, height = container.width, container.height
    if container.orientation in _TURNED:
        width, height = height, width
    return _Facts(name, split, label, digest, width, height, form)


def _record_facts(source: Source) -> Iterator[_Facts]:
    size = source.identity.image_size
    for split in source.identity.counts:
        block = Path(records.split_file(source.folder, split)).read_bytes()
        for index in range(0, len(block), records.RECORD_BYTES):
            digest = hashlib.blake2b(block[index + 1 : index + records.RECORD_BYTES], digest_size=16).digest()
            name = f"{split} {index // records.RECORD_BYTES:,}"
            yield _Facts(name, split, block[index], digest, size, size, "raw RGB")
