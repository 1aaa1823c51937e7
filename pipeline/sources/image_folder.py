"""The source `folder:PATH`: image files in a folder for each class, with or without a folder for each split."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline.config.settings import IngestConfig
from pipeline.sources.listing import SPLIT_NAMES, ImageFile, Listing, clean_name, make_listing
from shiftvit.errors import DataError
from shiftvit.features import SPLITS, TRAIN
from shiftvit.image_files import SUFFIXES

EXPECTED = "expected PATH/CLASS/IMAGE, or PATH/SPLIT/CLASS/IMAGE with the splits train, eval (or val) and test"
_LITTER = ("thumbs.db", "desktop.ini", "__macosx")  # of other systems, beside names that begin with a dot


def is_image_folder(path: Path) -> bool:
    """Returns True if some folder in `path`, or in a folder of it, holds an image file.

    Raises:
        OSError: if one cannot be read.
    """
    folders = list(_folders(path))
    return any(_has_image(folder) for folder in folders) or any(
        _has_image(inner) for folder in folders for inner in _folders(folder)
    )


def list_images(path: Path, config: IngestConfig) -> Listing:
    """Lists the image files in the class folders of `path`.

    An image file is one with the suffix of an image format. Files of a class may lie in further folders.

    Raises:
        DataError: if the folder has no such form, a class or a split is empty, or a folder cannot be read.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such folder; {EXPECTED}")
    skipped: Counter[str] = Counter()
    try:
        parts = _split_folders(path)
        files = {split: list(_classes(folder, path, skipped)) for split, folder in parts.items()}
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error
    if not any(files.values()):
        raise DataError(f"{path}: no PNG, JPEG, BMP, GIF or WebP files in class folders; {EXPECTED}")
    return make_listing(path, files, skipped, config)


def _split_folders(path: Path) -> dict[str | None, Path]:
    """Returns the folders of the splits, or `path` for the split None if its folders are classes.

    They are splits if all of them are named so, or if one is named train and holds folders.
    """
    found: dict[str | None, Path] = {}
    others = []
    for folder in _folders(path):
        split = SPLIT_NAMES.get(folder.name.lower())
        if split is None:
            others.append(folder)
        elif split in found:
            raise DataError(f"{path}: {found[split].name} and {folder.name} are both the split {split}; merge them")
        else:
            found[split] = folder
    train = found.get(TRAIN)
    if not found or (others and not (train and any(_folders(train)))):
        return {None: path}
    missing = [split for split in SPLITS if split not in found]
    if missing:
        names = ", ".join(folder.name for folder in found.values())
        raise DataError(
            f"{path}: has split folders ({names}), but none for {' and '.join(missing)}; add it, or put the class "
            "folders directly into PATH to have all images split"
        )
    for folder in others:
        if any(_files(folder, folder, Counter())):
            raise DataError(f"{folder}: holds images beside the split folders; move them into one of these, or away")
    return found


def _classes(folder: Path, source: Path, skipped: Counter[str]) -> Iterator[ImageFile]:
    """Yields the files of all class folders in `folder`."""
    seen: dict[str, Path] = {}
    for class_folder in _folders(folder, skipped):
        name = clean_name(class_folder.name, folder)
        if name in seen:
            raise DataError(f"{class_folder}: has the same name as {seen[name]}; merge them")
        seen[name] = class_folder
        files = [ImageFile(path, name, *facts) for path, *facts in _files(class_folder, source, skipped)]
        if not files:
            raise DataError(
                f"{class_folder}: holds no PNG, JPEG, BMP, GIF or WebP file; add some, or remove the folder"
            )
        yield from files


def _files(
    folder: Path, source: Path, skipped: Counter[str], parents: tuple[tuple[int, int], ...] = ()
) -> Iterator[tuple[str, int, int]]:
    """Yields path relative to `source`, bytes and time of each image file in the folder and in its folders."""
    status = folder.stat()
    identity = status.st_dev, status.st_ino
    if identity in parents:
        raise DataError(f"{folder}: a link to a folder that contains it; remove the link")
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if _is_litter(entry.name):
                skipped["hidden or system files"] += 1
            elif entry.is_dir():
                yield from _files(Path(entry.path), source, skipped, (*parents, identity))
            elif not entry.name.lower().endswith(SUFFIXES):
                skipped["files of other kinds"] += 1
            elif not entry.is_file():
                raise DataError(f"{entry.path}: not a file, or a link that leads nowhere; remove it")
            else:
                facts = entry.stat()
                yield entry.path.removeprefix(f"{source}/"), facts.st_size, facts.st_mtime_ns


def _folders(path: Path, skipped: Counter[str] | None = None) -> Iterator[Path]:
    """Yields the folders in `path` but for hidden ones, sorted by name, and counts what else there is."""
    for entry in sorted(path.iterdir()):
        if entry.is_dir() and not _is_litter(entry.name):
            yield entry
        elif skipped is not None:
            skipped["hidden or system files" if _is_litter(entry.name) else "files outside class folders"] += 1


def _has_image(folder: Path) -> bool:
    return any(path.name.lower().endswith(SUFFIXES) for path in folder.iterdir())


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LITTER
