"""A fingerprint of the project's code, for caches. Imports nothing heavy."""

import hashlib
from pathlib import Path
from types import ModuleType

import charts
import components
import shiftvit
import tuner


def graph_fingerprint() -> str:
    """Returns the fingerprint of the code that the graph's nodes run."""
    return fingerprint(charts, shiftvit, tuner, components)


def fingerprint(*packages: ModuleType) -> str:
    """Returns a digest of all files of the packages except compiled ones."""
    digest = hashlib.sha256()
    for package in packages:
        assert package.__file__, "not a namespace package"
        root = Path(package.__file__).parent
        for file in sorted(file for file in root.rglob("*") if file.is_file() and file.parent.name != "__pycache__"):
            digest.update(f"{package.__name__}/{file.relative_to(root)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
