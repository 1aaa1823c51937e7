import json
import subprocess
from pathlib import Path

import api_server
import pytest
import yaml
from waiting import HANG_SECONDS

from pipeline.runners.kubeflow import api, submit

SPEC = {
    "schemaVersion": "2.1.0",
    "pipelineInfo": {"name": "shiftvit"},
    "root": {
        "dag": {"tasks": {"Trainer": {}, "Pusher": {}, "Refused": {}}},
        "inputDefinitions": {"parameters": {"epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1}}},
    },
}
PLATFORMS = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}


@pytest.fixture
def file(tmp_path):
    """A compiled pipeline with two tasks and one parameter."""
    path = tmp_path / "shiftvit.yaml"
    path.write_text(yaml.safe_dump_all([SPEC, PLATFORMS]))
    return path


@pytest.fixture
def server(monkeypatch):
    """An empty KFP, and a client that retries at once."""
    monkeypatch.setattr(api, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(api, "TIMEOUT", (HANG_SECONDS, HANG_SECONDS))
    monkeypatch.setattr(submit, "POLL_SECONDS", 0)
    monkeypatch.delenv(api.TOKEN_VARIABLE, raising=False)
    with api_server.serve() as server:
        yield server


@pytest.fixture
def kfp_python():
    """The Python interpreter of an environment with KFP's SDK."""
    python = Path(__file__).parents[4] / ".tools/kfp/bin/python"
    if not python.exists():
        pytest.skip("KFP's SDK is not installed; `make .tools/kfp` installs it")
    return str(python)


@pytest.fixture
def check_with_kfp(kfp_python, tmp_path):
    """A function that returns for each compiled file None, or the reason why KFP's SDK refuses it."""

    def check(*files):
        command = [kfp_python, Path(__file__).with_name("check_with_kfp.py"), *files]
        done = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return check
