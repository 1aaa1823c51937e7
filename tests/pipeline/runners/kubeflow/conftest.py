import json
import subprocess
from pathlib import Path

import api_server
import pytest

from pipeline.runners.kubeflow import api, submit


@pytest.fixture
def server(monkeypatch):
    """A KFP that has nothing yet, and a client that does not wait long for it."""
    monkeypatch.setattr(api, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(api, "TIMEOUT", (0.5, 0.5))
    monkeypatch.setattr(submit, "POLL_SECONDS", 0)
    monkeypatch.delenv(api.TOKEN_VARIABLE, raising=False)
    with api_server.serve() as server:
        yield server


@pytest.fixture
def kfp_python():
    """The Python of the environment that has KFP's own SDK."""
    python = Path(__file__).parents[4] / ".tools/kfp/bin/python"
    if not python.exists():
        pytest.skip("KFP's own SDK is not here; `make .tools/kfp` makes an environment for it")
    return str(python)


@pytest.fixture
def check_with_kfp(kfp_python, tmp_path):
    """A function from compiled files to what KFP's own SDK says of each: None, or why it is refused."""

    def check(*files):
        command = [kfp_python, Path(__file__).with_name("check_with_kfp.py"), *files]
        done = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return check
