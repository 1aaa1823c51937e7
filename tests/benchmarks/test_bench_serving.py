import shutil
import sys

import pytest
import servers

from benchmarks import serving
from benchmarks.serving import load
from pipeline.runs.workspace import Workspace

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    servers.publish(workspace, servers.save_model(tmp_path_factory.mktemp("model")))
    with servers.running(workspace, "--max-batch", "16") as server:
        yield server


@needs_wrk
def test_load_counts_the_answers_of_the_server(server):
    names = ('shiftvit_requests_total{code="200"}', "shiftvit_images_total")
    before = [server.metric(name) for name in names]
    figures = load(server.url, [servers.png("red"), servers.png("blue")] * 2, size=2, connections=3, seconds=1)
    requests, images = (server.metric(name) - then for name, then in zip(names, before, strict=True))

    assert images == 2 * requests
    assert figures.rate > 0 and 0 < figures.p50 <= figures.p99


@needs_wrk
def test_failing_requests_raise(server):
    with pytest.raises(RuntimeError, match="requests failed"):
        load(server.url, [b"no image"], size=1, connections=1, seconds=1)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "wrk, the load generator, is not installed; install it with `apt-get install wrk`"),
        (None, "no version was pushed there yet; `shiftvit run` pushes one"),
    ],
)
def test_missing_wrk_or_version_ends_with_one_sentence_and_status_2(path, message, tmp_path, monkeypatch, capsys):
    if path is None:
        (tmp_path / "wrk").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["serving", "--workspace", str(tmp_path / "none")])

    with pytest.raises(SystemExit, match="2"):
        serving.main()
    assert message in capsys.readouterr().err
