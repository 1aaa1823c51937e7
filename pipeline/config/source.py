"""How the setting `source`, or `--data`, names a data set. Imports nothing heavy."""

import os
from pathlib import Path

SHAPES = "shapes"  # the embedded set
FOLDER = "folder"  # image files in class folders
CSV = "csv"  # image files that a table names
TFDS = "tfds"  # CIFAR-10 through tensorflow-datasets
TFDS_SET = "tfds set"  # any other set of tensorflow-datasets, by its name
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
PATH = "path"  # CIFAR's archive or folder, class folders or a table, named by its path alone

IMAGE_FILES = (FOLDER, CSV)  # kinds whose images have names, sizes and formats of their own
FORMS = (
    "the path of image folders, a CSV file, or an archive or folder in the layouts of CIFAR-10 and CIFAR-100; "
    "folder:PATH, csv:FILE, tfds:NAME (a data set of tensorflow-datasets), tfds (CIFAR-10), tfds:ARCHIVE, or shapes "
    "(the embedded set)"
)


def parse_source(source: str) -> tuple[str, Path | None]:
    """Returns the kind of a source, and the absolute path in it, or None if it has none. PATH always has one."""
    if source == SHAPES:
        return SHAPES, None
    prefix, _, path = source.partition(":")
    if source == FOLDER:  # a preset's, which has no images of its own
        return FOLDER, None
    if prefix in IMAGE_FILES and path:
        return prefix, absolute(path)
    if prefix != TFDS:
        return PATH, absolute(source)
    if path and not path.endswith(ARCHIVES):
        return TFDS_SET, None
    return TFDS, absolute(path) if path else None


def names_data(source: str) -> bool:
    """Returns False for a source that is blank, or a prefix without the path or name that must follow it."""
    prefix, colon, place = source.partition(":")
    return bool(place.strip() if colon and prefix in (*IMAGE_FILES, TFDS) else source.strip())


def tfds_name(source: str) -> str:
    """Returns the name of the data set in a source of the kind TFDS_SET."""
    return source.partition(":")[2]


def absolute_source(source: str) -> str:
    """Returns the same source with its path made absolute."""
    kind, path = parse_source(source)
    if path is None:
        return source
    return str(path) if kind == PATH else f"{kind}:{path}"


def absolute(path: str) -> Path:
    """Returns the absolute path, with `~` expanded, but for that of a user whom the system does not know."""
    return Path(os.path.expanduser(path)).absolute()
