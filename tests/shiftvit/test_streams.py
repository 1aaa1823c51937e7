"""The command line whose standard streams are closed, full, broken or narrow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENTRY = Path(__file__).parents[2] / "shiftvit_pipeline.py"
FULL = "stdout: cannot write the output there (No space left on device)"


def shell(command, folder, **environment):
    """Runs `shiftvit` in a shell with redirections; {} stands for the program."""
    command = command.replace("{}", f"{sys.executable} {ENTRY} pipeline.cli.main")
    shown = {"capture_output": True, "encoding": "utf-8", "errors": "backslashreplace"}
    return subprocess.run(command, shell=True, cwd=folder, env=os.environ | environment, **shown)


@pytest.mark.parametrize("command", ["runs", "--help", "--version", "completion bash", "runs --json"])
def test_full_disk_behind_stdout_is_one_sentence(command, tmp_path):
    done = shell(f"{{}} {command} > /dev/full", tmp_path)

    assert (done.returncode, done.stderr) == (1, f"shiftvit: {FULL}\n")


@pytest.mark.parametrize(
    ("redirections", "code"),
    [("<&-", 0), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0), (">/dev/full 2>&-", 1), ("2>/dev/full", 0)],
)
def test_closed_streams_are_no_error(redirections, code, tmp_path):
    done = shell(f"{{}} runs {redirections}", tmp_path)

    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("redirections", ["2>&-", "2>/dev/full", ">&- 2>/dev/full", "<&- >&- 2>&-"])
def test_error_that_nobody_can_read_keeps_its_exit_code(redirections, tmp_path):
    assert shell(f"{{}} show {redirections}", tmp_path).returncode == 2


def test_reader_that_closes_the_pipe_is_no_error(tmp_path):
    done = shell("{} --help | true; {} show 2>&1 | true; {} settings 2>&1 | head -1 >&2", tmp_path)

    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C.UTF-8"},
        {"LC_ALL": "xx_XX.nonsense", "PYTHONUTF8": "0"},
    ],
)
def test_any_name_is_printed_in_any_encoding(environment, tmp_path):
    workspace = os.fsdecode("größe-数".encode() + b"-\xff")

    done = shell(f"{{}} show --workspace '{workspace}'", tmp_path, **environment)

    assert done.returncode == 2 and done.stderr.startswith("shiftvit: ") and done.stderr.count("\n") == 1
