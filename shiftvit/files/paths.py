r"""Paths as strings: names that libraries take for patterns, and characters that cannot work. Standard library only.

TensorFlow and Apache Beam take `* ? [ ] { } \` in a folder's name for a pattern, also where they expect one path, and
have no escape that works everywhere. So they get another name of the same folder, which Linux has for each open one:
`/proc/PID/fd/N`. Child processes on this machine can use it too, as long as this process lives.
"""

import os
import re
import unicodedata
from pathlib import Path

from shiftvit.errors import ConfigError

_PATTERN = frozenset("*?[]{}\\")
_REFUSED = ("Cc", "Cs", "Zl", "Zp")  # Unicode's control characters, bytes that are no text, and ends of lines
_MAX_NAME_BYTES, _MAX_PATH_BYTES = 255, 3500  # Linux takes 255 and 4,095; the rest is for what lies in the folder
_SHOWN = 40  # characters of a long name in a message
_REMOTE = "://"  # in the address of an object store

_addresses: dict[str, str] = {}  # of object stores, by the folder that has copies of what is there
_open: dict[str, int] = {}  # descriptors by folder; they stay open, because their names may be in use


def check(path: str | os.PathLike, option: str) -> None:
    r"""Raises ConfigError if the absolute path is too long, or has a character that logs and file lists cannot hold.

    >>> check("/data/proj [2024]", "--workspace")
    >>> check("/data/a\nb", "--workspace")
    Traceback (most recent call last):
    shiftvit.errors.ConfigError: --workspace: the character '\n' in '/data/a\nb' cannot be used; rename the folder
    """
    try:
        absolute = os.path.abspath(path)
    except FileNotFoundError as error:
        raise ConfigError(f"{option}: the current folder does not exist any more; change to another one") from error
    found = next((char for char in absolute if unicodedata.category(char) in _REFUSED), None)
    if found:
        raise ConfigError(f"{option}: the character {found!a} in {absolute!a} cannot be used; rename the folder")
    longest = max(absolute.split(os.sep), key=lambda name: len(os.fsencode(name)))
    if len(os.fsencode(longest)) > _MAX_NAME_BYTES or len(os.fsencode(absolute)) > _MAX_PATH_BYTES:
        raise ConfigError(
            f"{option}: {longest[:_SHOWN]!r}… is too long: a name has {_MAX_NAME_BYTES} bytes at most, and a path "
            f"{_MAX_PATH_BYTES:,}"
        )


def check_plain(path: str | os.PathLike, option: str) -> None:
    """Raises ConfigError if `plain` would give another name than the path, which means nothing on other machines."""
    absolute = os.path.abspath(path)
    found = next((char for char in absolute if char in _PATTERN), None)
    if found:
        raise ConfigError(
            f"{option}: the character {found!a} in {absolute!r} is part of a pattern to Beam's workers, unless all "
            "are processes of this machine; rename the folder"
        )


def plain(path: str | os.PathLike) -> str:
    """Returns a name of the same file or folder that has no pattern in it: the path itself, if it has none.

    Raises:
        OSError: there is no folder of that name, as far as its last part with a pattern.
    """
    text = os.fspath(path)
    if _REMOTE in text or _PATTERN.isdisjoint(text) or not hasattr(os, "O_PATH"):
        return text
    parts = Path(os.path.abspath(text)).parts
    end = 1 + max(index for index, part in enumerate(parts) if not _PATTERN.isdisjoint(part))
    return os.path.join(f"/proc/{os.getpid()}/fd/{_descriptor(os.path.join(*parts[:end]))}", *parts[end:])


def set_address(folder: str, address: str) -> None:
    """Registers that `folder` has copies of what is at `address`, which lasts while the copies do not.

    Both end with a slash.
    """
    _addresses[folder] = address


def address(path: str) -> str:
    """Returns the address of what a copy at `path` was made from or will be sent to; any other path unchanged."""
    for folder, remote in _addresses.items():
        if path.startswith(folder):
            return remote + path.removeprefix(folder)
    return path


def relative(path: str, start: str | os.PathLike) -> str:
    """Returns a path from `start`, which stays the same if both move together; of a copy, or an address, the address.

    >>> relative("/a/artifacts/Trainer/model/5", "/a/serving/shiftvit")
    '../../artifacts/Trainer/model/5'
    """
    path = address(real(path))
    return path if _REMOTE in path else os.path.relpath(path, real(os.fspath(start)))


def real(text: str) -> str:
    """Returns text, such as a message, in which folders have their own names again instead of `plain` ones."""
    names = {str(descriptor): folder for folder, descriptor in _open.items()}
    return re.sub(rf"/proc/{os.getpid()}/fd/(\d+)", lambda found: names.get(found[1], found[0]), text)


def _descriptor(folder: str) -> int:
    descriptor = _open.get(folder)
    if descriptor is None or not os.path.samestat(os.stat(folder), os.fstat(descriptor)):
        descriptor = _open[folder] = os.open(folder, os.O_PATH)
    return descriptor
