import shutil
import sys

import pytest
from servers import png

from benchmarks import serving
from benchmarks.serving import load

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


@needs_wrk
def test_load_counts_the_answers_of_the_server(server):
    names = ('shiftvit_requests_total{code="200"}', "shiftvit_images_total")
    before = [server.metric(name) for name in names]
    figures = load(server.url, [png("red"), png("blue")] * 2, size=2, connections=3, seconds=1)
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
def test_missing_wrk_or_version_prints_one_sentence_and_exits_with_2(path, message, tmp_path, monkeypatch, capsys):
    if path is None:
        (tmp_path / "wrk").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["serving", "--workspace", str(tmp_path / "none")])

    assert serving.main() == 2
    assert message in capsys.readouterr().err
