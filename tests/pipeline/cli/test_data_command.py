import json
from pathlib import Path

from pipeline.cli.main import main

SMALL = [f"--set=shapes.{split}={count}" for split, count in (("train", 20), ("eval", 10), ("test", 10))]


def test_data_prints_the_identity_of_the_source(tmp_path, capsys):
    assert main(["data", "--workspace", str(tmp_path), *SMALL]) == 0
    out, err = capsys.readouterr()
    assert "train 20, eval 10, test 10" in out and "sha256" in out and "Source: complete" in err


def test_json_has_the_identity_of_the_source(tmp_path, capsys):
    assert main(["data", "--json", "--workspace", str(tmp_path), *SMALL]) == 0
    source = json.loads(capsys.readouterr().out)
    assert (source["kind"], source["counts"]) == ("shapes", {"train": 20, "eval": 10, "test": 10})
    assert (tmp_path / "sources" / f"shapes-{source['sha256'][:16]}") == Path(source["folder"])


def test_data_that_does_not_exist_exits_3(tmp_path, capsys):
    assert main(["data", "--workspace", str(tmp_path), "--data", str(tmp_path / "absent")]) == 3
    assert "absent: no such file or folder" in capsys.readouterr().err
