"""The folder that a model server reads, in TensorFlow Serving's layout: the one owner of its versions.

A version is a SavedModel in a folder that is named by a number; the highest number is served. It is there under its
number whole or not at all. One process at a time changes the folder; others may read it meanwhile.

Imports nothing heavy.
"""

import contextlib
import filecmp
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from shiftvit.files import atomic, locks

MODEL_FILE = "saved_model.pb"
EXTRA_FOLDER = "assets.extra"  # of a SavedModel: what others add to it

CARD_FILE = f"{EXTRA_FOLDER}/model_card.md"  # for people: `components.model_card`
LITE_FOLDER = f"{EXTRA_FOLDER}/lite"  # for devices: `components.lite`

_LOGGER = logging.getLogger(__name__)

_ORIGIN_FILE = f"{EXTRA_FOLDER}/origin.json"
_TOLD = {_ORIGIN_FILE, CARD_FILE}  # of a model, and no part of it


@dataclass(frozen=True)
class Origin:
    """Where a version is from; it is kept in the version, so that it is known whatever dies."""

    model: str | None = None  # uri of the Model artifact, where a run pushed it
    rollback_of: int | None = None  # the version that it brings back, where a rollback made it
    keep: int | None = None  # how many versions were to be kept when it came


def numbers(base: Path) -> list[int]:
    """Returns the numbers of the versions in the folder, the served one first."""
    return sorted((number for number in _named(base) if is_model(base / str(number))), reverse=True)


def is_model(folder: Path) -> bool:
    """Says whether the folder holds a SavedModel."""
    return (folder / MODEL_FILE).is_file()


def read_origin(version: Path) -> Origin:
    """Returns what `publish` noted in the folder of a version; nothing where another one made it."""
    try:
        values = json.loads((version / _ORIGIN_FILE).read_text())
    except FileNotFoundError:
        return Origin()
    return Origin(**{field.name: values.get(field.name) for field in fields(Origin)})


@contextlib.contextmanager
def hold_newest(base: Path) -> Iterator[Path | None]:
    """Gives the folder of the served version, which stays as long as the block or its process lives; None without one.

    `atomic.hold` does so for any other version.
    """
    with contextlib.ExitStack() as stack:
        yield _enter_newest(stack, base)


def publish(source: Path, base: Path, origin: Origin, at_least: int = 0) -> tuple[int, bool]:
    """Makes a copy of a SavedModel the served version, unless that Model was pushed before and is there still.

    Versions that are older than the newest `origin.keep` are removed then, but for those that a reader holds.

    Args:
        source: folder of the SavedModel.
        base: the folder of the versions; it is made if it is not there.
        origin: where the model is from.
        at_least: its number is this one, or the one after the newest if that is higher: nothing hides it.

    Returns:
        The number of the version, and whether it is new.

    Raises:
        OSError, shutil.Error: when it cannot be copied; nothing of it is left then.
    """
    base.mkdir(parents=True, exist_ok=True)
    with locks.hold(base):
        atomic.remove_leftovers(base)
        number = _find(source, base, origin)
        new = number is None
        if new:
            number = max(at_least, *(earlier + 1 for earlier in (0, *_named(base))))
            with atomic.folder(base / str(number)) as unfinished:
                shutil.copytree(source, unfinished, dirs_exist_ok=True)
                (unfinished / EXTRA_FOLDER).mkdir(exist_ok=True)
                (unfinished / _ORIGIN_FILE).write_text(json.dumps(asdict(origin), indent=2) + "\n")
        _prune(base, origin.keep)
    return number, new


def _named(base: Path) -> list[int]:
    """Returns every number that has something in the folder, a version or not: a server may take it for one."""
    if not base.is_dir():
        return []
    names = [path.name for path in base.iterdir()]
    return [int(name) for name in names if name.isdecimal() and str(int(name)) == name]


def _enter_newest(stack: contextlib.ExitStack, base: Path) -> Path | None:
    while found := numbers(base):
        version = base / str(found[0])
        with contextlib.suppress(FileNotFoundError):  # removed since, so there are newer ones
            stack.enter_context(atomic.hold(version))
            return version
    return None


def _find(source: Path, base: Path, origin: Origin) -> int | None:
    """Returns the version that the same Model is already, perhaps pushed by one that was killed right after.

    Its uri alone does not tell: where ML Metadata was begun anew, uris come again, with other models.
    """
    for number in numbers(base):
        version = base / str(number)
        if origin.model and read_origin(version).model == origin.model and _is_copy(version, source):
            return number
    return None


def _is_copy(version: Path, source: Path) -> bool:
    copied = _files(source) - _TOLD
    return copied == _files(version) - _TOLD and all(
        filecmp.cmp(source / name, version / name, shallow=False) for name in copied
    )


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _prune(base: Path, keep: int | None) -> None:
    for number in numbers(base)[keep:] if keep else ():
        try:
            atomic.remove(base / str(number))  # one that is held is left for the next time
        except OSError as error:
            _LOGGER.warning("%s cannot be removed, though newer versions took its place: %s", base / str(number), error)
