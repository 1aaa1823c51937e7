import api_server
import pytest

from pipeline.kubeflow import api, submit


@pytest.fixture
def server(monkeypatch):
    """A KFP that has nothing yet, and a client that does not wait long for it."""
    monkeypatch.setattr(api, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(api, "TIMEOUT", (0.5, 0.5))
    monkeypatch.setattr(submit, "POLL_SECONDS", 0)
    monkeypatch.delenv(api.TOKEN_VARIABLE, raising=False)
    with api_server.serve() as server:
        yield server
