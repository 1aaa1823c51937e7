"""What a run leaves outside its workspace."""

import subprocess

import pytest
from small_runs import ENVIRONMENT, PROGRAM, run_arguments, shiftvit

pytestmark = pytest.mark.slow


def test_run_leaves_nothing_outside_its_workspace_and_clean_leaves_what_it_needs(tmp_path):
    folders = {"HOME": tmp_path / "home", "TMPDIR": tmp_path / "temporary", "PWD": tmp_path / "here"}
    for folder in folders.values():
        folder.mkdir()
    command = [*PROGRAM, *run_arguments(tmp_path / "w", tune__trials=0)]
    environment = ENVIRONMENT | {name: str(folder) for name, folder in folders.items()}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folders["PWD"])
    assert done.returncode == 0, done.stderr
    left = [path for folder in folders.values() for path in folder.rglob("*") if path.is_file()]
    assert left in ([], [folders["HOME"] / ".keras" / "keras.json"]), "the latter is in the documents"

    assert shiftvit("clean", "--yes", "--workspace", tmp_path / "w").returncode == 0
    again = shiftvit(*run_arguments(tmp_path / "w", tune__trials=0))
    assert again.returncode == 0, again.stderr
    assert "Trainer: cached" in again.stderr and "ImageExampleGen: cached" in again.stderr
