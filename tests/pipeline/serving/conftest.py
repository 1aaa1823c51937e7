import pytest
import servers

from pipeline.runs.workspace import Workspace


@pytest.fixture(scope="session")
def english(tmp_path_factory):
    """A SavedModel that names the colours in English."""
    return servers.save_model(tmp_path_factory.mktemp("english"))


@pytest.fixture(scope="session")
def german(tmp_path_factory):
    """A SavedModel that names the colours in German."""
    return servers.save_model(tmp_path_factory.mktemp("german"), servers.GERMAN)


@pytest.fixture(scope="session")
def server(tmp_path_factory, english):
    """A server for all tests that do not stop it; some push new versions, so any version may be served."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    servers.publish(workspace, english)
    options = ["--poll", "0.05", "--batch-wait", "20", "--max-batch", "16", "--max-images", "40", "--max-body", "1"]
    with servers.running(workspace, *options) as server:
        yield server
        exit_code, output = server.stop()
        assert exit_code == 0 and all(line.endswith(" is served") for line in output.splitlines()), output
