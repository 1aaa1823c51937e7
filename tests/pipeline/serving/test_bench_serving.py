import shutil
import sys

import pytest
from servers import png

from benchmarks import serving
from benchmarks.serving import load

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


@needs_wrk
def test_what_is_measured_is_what_the_server_answers(server):
    names = ('shiftvit_requests_total{code="200"}', "shiftvit_images_total")
    before = [server.metric(name) for name in names]
    figures = load(server.url, [png("red"), png("blue")] * 2, size=2, connections=3, seconds=1)
    requests, images = (server.metric(name) - then for name, then in zip(names, before, strict=True))

    assert images == 2 * requests
    assert figures.rate == pytest.approx(requests, rel=0.3)
    assert 0 < figures.p50 <= figures.p99 < 2


@needs_wrk
def test_requests_that_fail_are_not_measured(server):
    with pytest.raises(RuntimeError, match="requests failed"):
        load(server.url, [b"no image"], size=1, connections=1, seconds=1)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("", "wrk, the load generator, is not installed; `apt-get install wrk` does that"),
        (None, "no version was pushed there yet; `shiftvit run` pushes one"),
    ],
)
def test_what_it_lacks_is_told(path, told, tmp_path, monkeypatch, capsys):
    if path is None:
        (tmp_path / "wrk").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["bench_serving", "--workspace", str(tmp_path / "none")])

    with pytest.raises(SystemExit) as ended:
        serving.main()

    assert ended.value.code == 2 and told in capsys.readouterr().err
