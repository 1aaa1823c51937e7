"""The image files of a source: which there are, their classes and their splits. No file is opened here."""

import bisect
import hashlib
import itertools
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.settings import IngestConfig
from shiftvit.errors import DataError, printable
from shiftvit.features import EVAL, SPLITS, TEST, TRAIN

# How data sets name their splits, in lower case.
SPLIT_NAMES = {"train": TRAIN, "training": TRAIN, "test": TEST, "testing": TEST} | dict.fromkeys(
    ("eval", "val", "valid", "validation"), EVAL
)
_MAX_NAME_LENGTH = 100  # characters of a class name
_MAX_CLASSES = 65_536  # saved predictions hold a class id in two bytes


@dataclass(frozen=True)
class ImageFile:
    """An image file of a source."""

    path: str  # relative to the folder of the source
    class_name: str
    bytes: int
    modified: int  # nanoseconds since 1970


@dataclass(frozen=True)
class Listing:
    """All image files of a source.

    Attributes:
        folder: that their paths are relative to.
        class_names: by class id.
        files: of each split, in an order that mixes the classes.
        skipped: number of other files, by what they are.
    """

    folder: Path
    class_names: tuple[str, ...]
    files: Mapping[str, tuple[ImageFile, ...]]
    skipped: Mapping[str, int]

    def checksum(self, *settings: object) -> str:
        """Returns a SHA-256, in hex, that changes with the settings or with a file's path, class, size or time.

        It does not depend on where the folder is, and no file is read for it.
        """
        digest = hashlib.sha256(json.dumps([settings, self.class_names]).encode())
        for split, files in self.files.items():
            digest.update(split.encode())
            for file in files:
                digest.update(_bytes(f"{file.path}\0{file.class_name}\0{file.bytes}\0{file.modified}\n"))
        return digest.hexdigest()


def make_listing(
    folder: Path,
    files: Mapping[str | None, Iterable[ImageFile]],
    skipped: Mapping[str, int],
    config: IngestConfig,
    class_names: tuple[str, ...] = (),
) -> Listing:
    """Returns the listing of files by split; those of the split None go to the training split and the missing ones.

    Each class is split by the hash of each file's path and `config.split_seed`. So a file stays in its split when
    others come and go, and the shares of the splits hold on average. A split without a file of some class gets one.

    Raises:
        DataError: if there are fewer than two classes, a class lacks images in a split, or a name is no class name. The
            message names the folder.
    """
    by_split: dict[str, list[ImageFile]] = {split: list(files.get(split, ())) for split in SPLITS}
    shares = {TEST: config.test_share, EVAL: config.eval_share}
    missing = {split: share for split, share in shares.items() if not by_split[split]}
    for split, part in _split(files.get(None, ()), missing, config.split_seed).items():
        by_split[split] += part
    names = _class_names({file.class_name for part in by_split.values() for file in part}, folder)
    names = class_names or names
    for split, part in by_split.items():
        part.sort(key=lambda file: _position(file, config.split_seed))
        _check_classes(folder, split, part, names)
    return Listing(folder, names, {split: tuple(part) for split, part in by_split.items()}, skipped)


def _split(files: Iterable[ImageFile], shares: Mapping[str, float], seed: int) -> dict[str, list[ImageFile]]:
    """Splits files into the training split and those of `shares`, class by class."""
    by_class: dict[str, list[ImageFile]] = {}
    for file in files:
        by_class.setdefault(file.class_name, []).append(file)
    splits: dict[str, list[ImageFile]] = {split: [] for split in (*shares, TRAIN)}
    for members in by_class.values():
        for split, part in _split_class(members, shares, seed).items():
            splits[split] += part
    return splits


def _split_class(files: list[ImageFile], shares: Mapping[str, float], seed: int) -> dict[str, list[ImageFile]]:
    parts: dict[str, list[ImageFile]] = {split: [] for split in (*shares, TRAIN)}
    ends = list(itertools.accumulate(shares.values()))
    for file in sorted(files, key=lambda file: _position(file, seed)):
        parts[[*shares, TRAIN][bisect.bisect_right(ends, _position(file, seed))]].append(file)
    for part in parts.values():  # a small class may miss a split by chance
        largest = max(parts.values(), key=len)
        if not part and len(largest) > 1:
            part.append(largest.pop())
    return parts


def _position(file: ImageFile, seed: int) -> float:
    """Returns a number from 0 to 1 that depends on the file's path and the seed only."""
    digest = hashlib.sha256(_bytes(f"{seed}/{file.path}")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # names of files may be no text


def clean_name(name: str, place: object) -> str:
    """Returns a class name in the form in which names are compared.

    Raises:
        DataError: if it is empty, too long or cannot be printed. The message names `place`.
    """
    cleaned = unicodedata.normalize("NFC", name.strip())
    if not (cleaned and len(cleaned) <= _MAX_NAME_LENGTH and cleaned.isprintable()):
        shown = printable(name[:_MAX_NAME_LENGTH])
        raise DataError(f"{place}: {shown!r} is no class name; rename it: 1 to {_MAX_NAME_LENGTH} printable characters")
    return cleaned


def _class_names(names: set[str], folder: Path) -> tuple[str, ...]:
    """Returns the names in their order: whole numbers by value, others as text."""
    if len(names) < 2:
        found = f"only the class {next(iter(names))}" if names else "no image in a class"
        raise DataError(f"{folder}: {found}; a classifier needs images of at least two classes")
    if len(names) > _MAX_CLASSES:
        raise DataError(f"{folder}: {len(names):,} classes; at most {_MAX_CLASSES:,} are supported")
    alike: dict[str, str] = {}
    for name in sorted(names):
        other = alike.setdefault(name.casefold(), name)
        if other != name:
            raise DataError(f"{folder}: the classes {other} and {name} differ only in case; merge or rename one")
    numeric = all(name.isdecimal() for name in names)
    return tuple(sorted(names, key=(lambda name: (int(name), name)) if numeric else None))


def _check_classes(folder: Path, split: str, files: list[ImageFile], names: tuple[str, ...]) -> None:
    counts = Counter(file.class_name for file in files)
    missing = [name for name in names if name not in counts]
    if missing:
        others = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
        raise DataError(
            f"{folder}: class {missing[0]}{others} has no image in the split {split}; every class needs images in "
            "each split: add some, or remove the class"
        )
