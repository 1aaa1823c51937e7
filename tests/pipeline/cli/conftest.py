import sys
import textwrap

import pytest

from pipeline.cli.main import main
from pipeline.runners.local import launch

CHILD = """
import json, os, sys

def send(**event):
    os.write(int(sys.argv[-1]), (json.dumps(event) + "\\n").encode())

def write_result(result):
    with open(os.path.join(sys.argv[sys.argv.index("--run-dir") + 1], "result.json"), "w") as file:
        json.dump(result, file)

send(event="plan", nodes=["Trainer"])
send(event="node", node="Trainer", state="running")
"""


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Runs `shiftvit run`, or another command, with a small program in place of the graph; returns the exit code."""

    def execute(program, command="run", *options):
        (tmp_path / "child.py").write_text(CHILD + textwrap.dedent(program))
        monkeypatch.setattr(launch, "CHILD", (sys.executable, str(tmp_path / "child.py")))
        return main([command, "--workspace", str(tmp_path / "workspace"), *options])

    return execute
