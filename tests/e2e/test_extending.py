"""Applies every extension of docs/extending.md to a copy of the project, and tests the copy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import documents
import pytest

TESTS = Path(__file__).with_name("extensions_at_work.py")
EXTENDING = documents.ROOT / "docs" / "extending.md"
PACKAGES = ("charts", "shiftvit", "benchmarks", "tuner", "components", "pipeline")


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the project with all extensions."""
    folder = tmp_path_factory.mktemp("extended")
    for package in PACKAGES:
        shutil.copytree(documents.ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (
        documents.ROOT / "pyproject.toml",
        documents.ROOT / "shiftvit_pipeline.py",
        EXTENDING,
        TESTS,
        documents.__file__,
    ):
        shutil.copy(file, folder)
    documents.write_files(EXTENDING, folder)
    for patch in documents.blocks(EXTENDING, "diff"):
        done = subprocess.run(["git", "apply", "-"], cwd=folder, input=patch, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stderr}\n{patch}"
    return folder


def test_patches_apply_and_extended_modules_load(extended):
    modules = "pipeline.cli.main, pipeline.runners.beam, pipeline.sources.prepare, shiftvit.model"  # without TFX: quick

    done = subprocess.run([sys.executable, "-c", f"import {modules}"], cwd=extended, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_extensions_work_in_a_copy_of_the_project(extended):
    paths = [str(extended), *filter(None, [os.environ.get("PYTHONPATH")])]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS.name],
        cwd=extended,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
