"""Finds out what kind of source a path is."""

from pathlib import Path

from pipeline.config.source import CSV, FOLDER, FORMS
from pipeline.sources import cifar, image_folder
from shiftvit.errors import DataError

CIFAR = "cifar"  # an archive or a folder in CIFAR's layout
_ARCHIVES = (".tar.gz", ".tgz", ".tar")
_SHOWN = 5  # names in a message


def kind_of(path: Path) -> str:
    """Returns FOLDER, CSV or CIFAR.

    Raises:
        DataError: if it is none of them. The message says what was found and what would fit.
    """
    if path.is_dir():
        if cifar.is_folder(path):
            return CIFAR
        if image_folder.is_image_folder(path):
            return FOLDER
        raise DataError(
            f"{path}: holds {_contents(path)}, but neither class folders with images nor CIFAR's files; "
            f"{image_folder.EXPECTED}, or the files of CIFAR-10 or CIFAR-100"
        )
    if path.suffix.lower() == ".csv":
        return CSV
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; --data takes {FORMS}")
    if path.is_file() and not path.name.endswith(_ARCHIVES):
        raise DataError(f"{path}: neither an archive (.tar.gz) nor a CSV file (.csv); --data takes {FORMS}")
    return CIFAR


def _contents(path: Path) -> str:
    """Describes what is in a folder."""
    try:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in path.iterdir())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not names:
        return "nothing"
    listed = ", ".join(names[:_SHOWN])
    return listed if len(names) <= _SHOWN else f"{listed} and {len(names) - _SHOWN:,} more"
