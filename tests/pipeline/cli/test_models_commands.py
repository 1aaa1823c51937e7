import io
import os
import pty
import sys

import pytest
import servers

from pipeline.cli.main import main
from pipeline.runs.workspace import Workspace
from shiftvit import image_files


def test_predict_checks_all_images_before_it_prints(tmp_path, capsys):
    (tmp_path / "serving" / "shiftvit" / "5").mkdir(parents=True)
    (tmp_path / "serving" / "shiftvit" / "5" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not an image")
    assert main(["predict", str(tmp_path / "notes.txt"), "--workspace", str(tmp_path)]) == 3
    out, err = capsys.readouterr()
    assert out == "" and "notes.txt: not a PNG, JPEG, BMP, GIF or WebP image" in err


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace with a pushed model."""
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    servers.publish(workspace, servers.save_model(tmp_path_factory.mktemp("model")))
    return workspace


@pytest.fixture
def standard_input(monkeypatch):
    """Replaces the standard input by bytes."""

    def replace(content):
        image_files._read_standard_input.cache_clear()
        monkeypatch.setattr(sys, "stdin", content and io.TextIOWrapper(io.BytesIO(content)))

    yield replace
    image_files._read_standard_input.cache_clear()


def test_predict_reads_the_standard_input(workspace, standard_input, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").write_bytes(servers.png("blue"))
    standard_input(servers.png("red"))

    assert main(["predict", "-", "./-", "-", "--workspace", str(workspace.root)]) == 0
    answers = [line.split("\t")[:2] for line in capsys.readouterr().out.splitlines()]
    assert answers == [["-", "red"], [str(tmp_path / "-"), "blue"], ["-", "red"]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text", "-: not a PNG, JPEG, BMP, GIF or WebP image"),
        (None, "-: no image at the standard input; redirect or pipe one there"),
    ],
)
def test_predict_without_an_image_at_the_standard_input(workspace, standard_input, capsys, content, reason):
    standard_input(content)

    assert main(["predict", "-", "--workspace", str(workspace.root)]) == 3
    assert reason in capsys.readouterr().err


def test_predict_does_not_wait_for_a_terminal(workspace, standard_input, monkeypatch, capsys):
    ours, theirs = pty.openpty()
    standard_input(b"x")
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        assert main(["predict", "-", "--workspace", str(workspace.root)]) == 3
    os.close(ours)
    assert "no image at the standard input" in capsys.readouterr().err
