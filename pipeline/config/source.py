"""How the setting `source`, or `--data`, names a data set. Imports nothing heavy."""

from pathlib import Path

SHAPES = "shapes"  # the embedded set
TFDS = "tfds"  # CIFAR-10 through tensorflow-datasets
PATH = "path"  # an archive or a folder of CIFAR-10, named by its path alone

PREFIXES = (TFDS,)  # kinds written as KIND or KIND:PATH
FORMS = "shapes (the embedded set), tfds, tfds:ARCHIVE, or the path of an official CIFAR-10 archive or folder"


def parse_source(source: str) -> tuple[str, Path | None]:
    """Returns the kind of a source, and the absolute path in it, or None if it has none. PATH always has one."""
    if source == SHAPES:
        return SHAPES, None
    prefix, _, path = source.partition(":")
    if prefix in PREFIXES:
        return prefix, absolute(path) if path else None
    return PATH, absolute(source)


def absolute_source(source: str) -> str:
    """Returns the same source with its path made absolute."""
    kind, path = parse_source(source)
    if path is None:
        return kind
    return str(path) if kind == PATH else f"{kind}:{path}"


def absolute(path: str) -> Path:
    """Returns the absolute path, with `~` expanded."""
    return Path(path).expanduser().absolute()
