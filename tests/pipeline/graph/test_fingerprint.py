import sys
from pathlib import Path

import pytest

from pipeline.graph.fingerprint import fingerprint


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two files on the path; its import."""
    (tmp_path / "toy" / "inner").mkdir(parents=True)
    for name in ("__init__", "inner/code"):
        (tmp_path / "toy" / f"{name}.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import toy

    yield toy
    del sys.modules["toy"]


def test_the_fingerprint_is_the_same_for_the_same_code(package):
    assert fingerprint(package) == fingerprint(package)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "inner" / "code.py").write_text("A = 2\n"),
        lambda root: (root / "more.py").write_text(""),
        lambda root: (root / "inner" / "code.py").unlink(),
        lambda root: (root / "inner" / "code.py").rename(root / "inner" / "core.py"),
    ],
)
def test_the_fingerprint_sees_every_change_of_the_code(package, change):
    before = fingerprint(package)

    change(Path(package.__file__).parent)

    assert fingerprint(package) != before
