import pytest
import servers

from pipeline.runs.workspace import Workspace


@pytest.fixture(scope="session")
def english(tmp_path_factory):
    """A SavedModel that names the colours in English."""
    return servers.save_model(tmp_path_factory.mktemp("english"))


@pytest.fixture(scope="session")
def german(tmp_path_factory):
    """A SavedModel that names them in German."""
    return servers.save_model(tmp_path_factory.mktemp("german"), servers.GERMAN)


@pytest.fixture(scope="session")
def server(tmp_path_factory, english):
    """One for all tests that leave it as it is, but for the version, which may be any."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    servers.publish(workspace, english)
    options = ["--poll", "0.05", "--batch-wait", "20", "--max-batch", "16", "--max-images", "40", "--max-body", "1"]
    with servers.running(workspace, *options) as server:
        yield server
        code, said = server.stop()
        assert code == 0 and all(line.endswith(" is served") for line in said.splitlines()), said
