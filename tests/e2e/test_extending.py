"""Every extension that the documents show, made in a copy of the project and used there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import documents
import pytest

AT_WORK = Path(__file__).with_name("extensions_at_work.py")
EXTENDING = documents.ROOT / "docs" / "extending.md"
COPIED = ("charts", "shiftvit", "benchmarks", "tuner", "components", "pipeline")


@pytest.fixture
def extended(tmp_path):
    """A copy of the project with all of them."""
    for package in COPIED:
        shutil.copytree(documents.ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (documents.ROOT / "pyproject.toml", EXTENDING, AT_WORK, documents.__file__):
        shutil.copy(file, tmp_path)
    documents.write_files(EXTENDING, tmp_path)
    documents.change_files(EXTENDING, tmp_path)
    return tmp_path


@pytest.mark.slow
def test_every_extension_works_in_a_copy_of_the_project(extended):
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", AT_WORK.name],
        cwd=extended,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(extended), *inherited])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
