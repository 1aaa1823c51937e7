"""Finds out what kind of source a path is."""

from pathlib import Path

from pipeline.config.source import ARCHIVES, CSV, FOLDER, FORMS
from pipeline.sources import archives, cifar, image_folder
from shiftvit.errors import DataError

CIFAR = "cifar"  # an archive or a folder in CIFAR's layouts
_SHOWN = 5  # names in a message


def kind_of(path: Path) -> str:
    """Returns FOLDER, CSV or CIFAR.

    Raises:
        DataError: if it is none of them, or cannot be read. The message says what was found and what would fit.
    """
    try:
        return _kind_of_folder(path) if path.is_dir() else _kind_of_file(path)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read ({error.strerror})") from error


def _kind_of_folder(path: Path) -> str:
    if cifar.is_folder(path):
        return CIFAR
    if image_folder.is_image_folder(path):
        return FOLDER
    names = sorted(entry.name + "/" * entry.is_dir() for entry in path.iterdir())
    found = ", ".join(names[:_SHOWN]) or "nothing"
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    raise DataError(
        f"{path}: holds {found}{more}, but neither class folders with images nor CIFAR's files; "
        f"{image_folder.EXPECTED}, or the files of CIFAR-10 or CIFAR-100"
    )


def _kind_of_file(path: Path) -> str:
    if path.suffix.lower() == ".csv":
        return CSV
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; --data takes {FORMS}")
    if path.is_file() and not (path.name.lower().endswith(ARCHIVES) or archives.is_compressed(path)):
        raise DataError(f"{path}: neither an archive ({', '.join(ARCHIVES)}) nor a CSV file; --data takes {FORMS}")
    return CIFAR
