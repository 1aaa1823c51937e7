"""Equal files that take their place on the disk once. Standard library only."""

import contextlib
import filecmp
from collections.abc import Iterator
from pathlib import Path

from shiftvit.files import atomic


def find(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yields each file in a folder of `folder` that equals an earlier one, and that one; not if they share their place.

    Files that change while they are compared, or disappear, are left out.
    """
    by_size: dict[int, list[Path]] = {}
    for file in sorted(folder.glob("*/*")):
        if file.parent.name.startswith(".") or file.is_symlink() or not file.is_file():
            continue
        with contextlib.suppress(FileNotFoundError):
            others = by_size.setdefault(file.stat().st_size, [])
            if any(file.samefile(other) for other in others):
                continue
            equal = next((other for other in others if filecmp.cmp(file, other, shallow=False)), None)
            if equal is not None:
                yield file, equal
            else:
                others.append(file)


def share(folder: Path) -> None:
    """Makes equal files in the folders of `folder` share their place, where the file system can: see `find`."""
    for copy, original in find(folder):
        with contextlib.suppress(OSError):
            atomic.link(original, copy)
