import sys

import pytest

from benchmarks import ingestion
from shiftvit.input_pipeline import count_records


def test_what_is_measured_is_the_ingestion_of_all_images(tmp_path):
    seconds = ingestion._ingest_drawn(tmp_path, 60_000, tmp_path)

    assert seconds > 0
    assert count_records([f"{tmp_path}/examples/Split-*/*"]) == 60_000


@pytest.mark.slow
def test_each_row_is_measured_in_a_process_of_its_own(tmp_path):
    held = bytearray(1 << 30)  # by this process, which the peak of another does not show

    figures = [ingestion._in_a_process(hold, tmp_path, mebibytes) for mebibytes in (0, 512)]

    assert [seconds for seconds, _ in figures] == [1.5, 1.5]
    low, high = (peak for _, peak in figures)
    assert low < len(held) and 500 << 20 < high - low < 560 << 20


def hold(archive, mebibytes, folder):
    bytearray(mebibytes << 20)
    return 1.5


def test_without_the_archive_nothing_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench_ingestion", str(tmp_path / "gone.tar.gz")])

    with pytest.raises(SystemExit) as exit:
        ingestion.main()

    assert exit.value.code == 2
    assert "gone.tar.gz: no such file; give CIFAR-10's binary archive" in capsys.readouterr().err
