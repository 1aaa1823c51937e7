"""Runs command lines in a child process, and measures their CPU time and memory."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from waiting import HANG_SECONDS

_CHILD = """
import json, os, sys
from pathlib import Path
from pipeline.cli.main import main

results = []
for arguments in json.loads(sys.argv[1]):
    start = sum(os.times()[:4])
    code = main(arguments)
    results.append([code, sum(os.times()[:4]) - start])
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([results, int(status["VmHWM"].split()[0]) / 1024]))
"""


@dataclass
class Measured:
    exit_codes: list[int]
    cpu_seconds: list[float]  # of each command and its child processes; hardly depends on other load on the machine
    peak_mb: float  # of memory, over all commands
    errors: list[str]  # messages on stderr


def run_measured(commands, folder):
    """Runs `shiftvit` with each list of arguments, one after another in one process, with `folder` as its folder."""
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps(commands)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=HANG_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    results, peak = json.loads(ended.stdout.splitlines()[-1])
    errors = [line for line in ended.stderr.splitlines() if line.startswith("shiftvit: ")]
    return Measured([code for code, _ in results], [seconds for _, seconds in results], peak, errors)
