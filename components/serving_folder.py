"""The folder that a model server reads, in TensorFlow Serving's layout.

A version is a SavedModel in a folder named by a number; the highest number is served. Versions appear and disappear
atomically. One process at a time changes the folder, while others may read it.

Imports nothing heavy.
"""

import contextlib
import filecmp
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from shiftvit.dataset import EXTRA_FOLDER
from shiftvit.files import atomic, locks

MODEL_FILE = "saved_model.pb"

CARD_FILE = f"{EXTRA_FOLDER}/model_card.md"  # from `components.model_card`
LITE_FOLDER = f"{EXTRA_FOLDER}/lite"  # TFLite files, from `components.lite`

# Properties of a PushedModel artifact; the first two are those of TFX's Pusher.
PUSHED_VERSION, PUSHED_DESTINATION = "pushed_version", "pushed_destination"
ALREADY_PUSHED = "already_pushed"  # 1 if the version existed and nothing was copied

_LOGGER = logging.getLogger(__name__)

_ORIGIN_FILE = f"{EXTRA_FOLDER}/origin.json"
_DESCRIPTIONS = {_ORIGIN_FILE, CARD_FILE}  # files about the model, which differ between copies of it


@dataclass(frozen=True)
class Origin:
    """Where a version comes from; stored in its folder, so that a crash cannot separate them."""

    model: str | None = None  # uri of the Model artifact, if a run pushed it; relative to the base if it is a path
    rollback_of: int | None = None  # the version that it restores, if a rollback made it
    keep: int | None = None  # number of versions to keep, as configured when it was published


def numbers(base: Path) -> list[int]:
    """Returns the numbers of the versions in the folder, the served one first."""
    return sorted((number for number in _taken_numbers(base) if is_model(base / str(number))), reverse=True)


def is_model(folder: Path) -> bool:
    """Returns True if the folder holds a SavedModel."""
    return (folder / MODEL_FILE).is_file()


def read_origin(version: Path) -> Origin:
    """Returns the origin that `publish` stored in a version; an empty one if something else made the version."""
    try:
        values = json.loads((version / _ORIGIN_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Origin()
    return Origin(**{field.name: values.get(field.name) for field in fields(Origin)})


@contextlib.contextmanager
def hold_newest(base: Path) -> Iterator[Path | None]:
    """Yields the folder of the served version, protected from removal inside the block; None if there is no version.

    `atomic.hold` protects any other version.
    """
    with contextlib.ExitStack() as stack:
        yield _enter_newest(stack, base)


def publish(source: Path, base: Path, origin: Origin, at_least: int = 0) -> tuple[int, bool]:
    """Copies a SavedModel to a new version, unless the same Model has one already.

    Then removes all but the newest `origin.keep` versions; a version that a reader holds stays.

    Args:
        source: folder of the SavedModel.
        base: folder of the versions; created if needed.
        origin: where the model comes from.
        at_least: lowest number for the version; one above the newest is used if that is higher.

    Returns:
        The number of the version, and True if it is new.

    Raises:
        OSError, shutil.Error: if the model cannot be copied; no version is left behind.
    """
    base.mkdir(parents=True, exist_ok=True)
    with locks.hold(base):
        atomic.remove_leftovers(base)
        existing = _find(source, base, origin)
        number = _add(source, base, origin, at_least) if existing is None else existing
        _prune(base, origin.keep)
    return number, existing is None


def _add(source: Path, base: Path, origin: Origin, at_least: int) -> int:
    number = max([at_least, 1, *(earlier + 1 for earlier in _taken_numbers(base))])
    with atomic.folder(base / str(number)) as unfinished:
        shutil.copytree(source, unfinished, dirs_exist_ok=True)
        (unfinished / EXTRA_FOLDER).mkdir(exist_ok=True)
        (unfinished / _ORIGIN_FILE).write_text(json.dumps(asdict(origin), indent=2) + "\n", encoding="utf-8")
    return number


def _taken_numbers(base: Path) -> list[int]:
    """Returns every number that names something in the folder, even if it is no model: a server may load it."""
    if not base.is_dir():
        return []
    names = [path.name for path in base.iterdir()]
    return [int(name) for name in names if name.isdecimal() and str(int(name)) == name]


def _enter_newest(stack: contextlib.ExitStack, base: Path) -> Path | None:
    while existing := numbers(base):
        version = base / str(existing[0])
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile, so there are newer ones
            stack.enter_context(atomic.hold(version))
            return version
    return None


def _find(source: Path, base: Path, origin: Origin) -> int | None:
    """Returns the version of the same Model, or None; a push that was killed at its end may have left it.

    The files are compared too: with a new ML Metadata store, uris repeat for other models.
    """
    for number in numbers(base):
        version = base / str(number)
        earlier = read_origin(version).model
        is_same = origin.model and earlier and _place(earlier, base) == _place(origin.model, base)
        if is_same and _is_copy(version, source):
            return number
    return None


def _place(model: str, base: Path) -> str:
    return os.path.normpath(base / model)


def _is_copy(version: Path, source: Path) -> bool:
    names = _files(source) - _DESCRIPTIONS
    return names == _files(version) - _DESCRIPTIONS and all(
        filecmp.cmp(source / name, version / name, shallow=False) for name in names
    )


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _prune(base: Path, keep: int | None) -> None:
    for number in numbers(base)[keep:] if keep else ():
        try:
            atomic.remove(base / str(number))  # returns False for a version that is held: the next push removes it
        except OSError as error:
            _LOGGER.warning("%s is outdated but cannot be removed: %s", base / str(number), error)
