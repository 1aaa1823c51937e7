"""Workspaces that move or are copied: the paths in ML Metadata, which TFX writes as absolute ones, follow.

What was recorded tells where the workspace was: TFX's artifacts are in ROOT/artifacts/NODE/KEY/NUMBER. Imports nothing
heavy.
"""

import contextlib
import functools
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.runs.workspace import Workspace

_ARTIFACT = re.compile(rf"(.+)/{Workspace(Path()).artifacts.name}/[^/]+/[^/]+/\d+")
_TEXTS = {"Artifact": "uri", "ArtifactProperty": "string_value", "ExecutionProperty": "string_value"}  # column by table


def moved(text: str, old: str, new: str) -> str:
    """Returns a text, such as a path or JSON, with each path in the folder `old` in the folder `new` instead.

    >>> moved('{"base": "/a/serving", "other": "/b/a/x"}', "/a", "/c")
    '{"base": "/c/serving", "other": "/b/a/x"}'
    """
    for before, after in {old: new, _in_json(old): _in_json(new)}.items():
        after = after.replace("\\", r"\\")
        text = re.sub(rf"(?<![\w./-]){re.escape(before)}(?=[/\"'\\]|$)", after, text)
    return text


def _in_json(path: str) -> str:
    """Returns a path as JSON has it within quotes, which escapes what is not ASCII."""
    return json.dumps(path)[1:-1]


def follow(workspace: Workspace) -> None:
    """Rewrites the paths in ML Metadata if the workspace was elsewhere. Call it while the workspace is locked."""
    root = str(workspace.root.resolve())
    with _open(workspace.metadata, "rw") as database:
        old = _roots(database) - {root}
        if not old:
            return
        database.create_function("moved", 1, lambda text: text and _from_any(text, old, root), deterministic=True)
        with database:
            for table, column in _TEXTS.items():
                database.execute(f"UPDATE {table} SET {column} = moved({column}) WHERE {column} LIKE '%/%'")


def follower(metadata: Path) -> Callable[[str], str]:
    """Returns a function that maps a path, as ML Metadata has it, to where it is now. For those who only read."""
    root = str(metadata.parent.resolve())
    with _open(metadata, "ro") as database:
        old = _roots(database) - {root}
    return functools.partial(_from_any, old=old, new=root) if old else str


def _from_any(text: str, old: set[str], new: str) -> str:
    return functools.reduce(lambda result, root: moved(result, root, new), sorted(old), text)


@contextlib.contextmanager
def _open(metadata: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Yields the database; an empty one if the file does not exist or is none of ML Metadata."""
    exists = metadata.is_file()
    uri = f"{metadata.resolve().as_uri()}?mode={mode}" if exists else "file::memory:"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
        yield database


def _roots(database: sqlite3.Connection) -> set[str]:
    """Returns the folders in which the recorded artifacts were."""
    try:
        uris = database.execute("SELECT uri FROM Artifact WHERE uri IS NOT NULL")
        return {found[1] for (uri,) in uris if (found := _ARTIFACT.fullmatch(uri))}
    except sqlite3.DatabaseError:  # ML Metadata says what is wrong with it, or makes its tables
        return set()
