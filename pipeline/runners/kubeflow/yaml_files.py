"""Writes YAML files with several documents."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from shiftvit.files import atomic, disk


class _Plain(yaml.SafeDumper):
    """Writes repeated values in full, as aliases are hard to read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write(documents: Sequence[dict[str, Any]], file: Path) -> None:
    """Writes the documents atomically, with sorted keys: the same documents give the same bytes.

    Raises:
        ConfigError: the file cannot be written.
    """
    with disk.explain_write_errors(str(file)):
        atomic.write_file(file, yaml.dump_all(documents, Dumper=_Plain, sort_keys=True, width=10_000))
