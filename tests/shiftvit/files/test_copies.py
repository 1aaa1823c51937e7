"""Equal files share their place on the disk."""

import os

from shiftvit.files import copies


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def test_equal_files_share_their_place(tmp_path):
    first, equal = write(tmp_path / "a" / "train.bin", "12"), write(tmp_path / "b" / "train.bin", "12")
    other, unfinished = write(tmp_path / "c" / "train.bin", "34"), write(tmp_path / ".d" / "train.bin", "12")
    copies.share(tmp_path)

    assert equal.samefile(first) and equal.read_text() == "12" and other.read_text() == "34"
    assert not unfinished.samefile(first), "another process may be writing it"
    assert list(copies.find(tmp_path)) == []
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == [".d", *["train.bin"] * 4]


def test_a_file_system_without_links_keeps_both(tmp_path, monkeypatch):
    first, equal = write(tmp_path / "a" / "train.bin", "12"), write(tmp_path / "b" / "train.bin", "12")
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    copies.share(tmp_path)
    assert first.read_text() == equal.read_text() == "12" and not equal.samefile(first)
