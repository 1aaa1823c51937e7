"""The source `csv:FILE`: a table with the path and the label of each image, and perhaps its split."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from pipeline.config.settings import IngestConfig
from pipeline.sources.listing import SPLIT_NAMES, ImageFile, Listing, clean_name, make_listing
from shiftvit.errors import DataError
from shiftvit.features import SPLITS
from shiftvit.files import utf8

# What the columns may be called, in lower case.
_PATH = ("path", "file", "filename", "image")
_LABEL = ("label", "class", "class_name")
_SPLIT = ("split",)


def list_images(file: Path, config: IngestConfig) -> Listing:
    """Lists the image files that a CSV file names, relative to its own folder.

    The first line names the columns: one of `path`, `file`, `filename`, `image`, one of `label`, `class`,
    `class_name`, and, if the files are split already, `split`. Other columns are ignored.

    Raises:
        DataError: if the file cannot be read, a column is missing, or a line names no file, no label or no split. The
            message names the file and the line.
    """
    files: dict[str | None, list[ImageFile]] = {}
    seen: dict[str, int] = {}
    for line, path, label, split in _rows(file):
        if path in seen:
            raise DataError(f"{file}, line {line}: {path} is in line {seen[path]} already; keep one of them")
        seen[path] = line
        files.setdefault(split, []).append(_image(file, line, path, label))
    missing = [split for split in SPLITS if split not in files]
    if files and None not in files and missing:
        raise DataError(
            f"{file}: no image is in the split {' or '.join(missing)}; add some, or remove the column to have all "
            "images split"
        )
    return make_listing(file.parent, files, {}, config)


def _rows(file: Path) -> Iterator[tuple[int, str, str, str | None]]:
    """Yields the number of each line, and the path, label and split in it."""
    try:
        reader = csv.DictReader(io.StringIO(utf8.read(file), newline=""), strict=True)
        columns = [name or "" for name in reader.fieldnames or ()]
        path, label = _column(file, columns, _PATH), _column(file, columns, _LABEL)
        split = next((name for name in columns if name.strip().lower() in _SPLIT), None)
        for row in reader:
            if not (row[path] and row[label]):
                raise DataError(f"{file}, line {reader.line_num}: has no {label if row[path] else path}; fill it in")
            yield reader.line_num, row[path], row[label], split and _split(file, reader.line_num, row[split])
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num + 1}: not a CSV file ({error})") from error


def _column(file: Path, columns: list[str], names: tuple[str, ...]) -> str:
    found = next((name for name in columns if name.strip().lower() in names), None)
    if found is None:
        raise DataError(
            f"{file}: has no column {' or '.join(names)}; its first line must name the columns, separated by commas, "
            f"and has {', '.join(columns) or 'none'}"
        )
    return found


def _split(file: Path, line: int, name: str | None) -> str:
    split = SPLIT_NAMES.get((name or "").strip().lower())
    if split is None:
        raise DataError(f"{file}, line {line}: {name!r} is no split; the splits are {', '.join(SPLITS)}")
    return split


def _image(file: Path, line: int, path: str, label: str) -> ImageFile:
    image = file.parent / path
    try:
        facts = image.stat()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", error)
        raise DataError(
            f"{file}, line {line}: {path} cannot be read ({reason}); paths are relative to the CSV file"
        ) from error
    if not image.is_file():
        raise DataError(f"{file}, line {line}: {path} is not a file")
    return ImageFile(path, clean_name(label, f"{file}, line {line}"), facts.st_size, facts.st_mtime_ns)
