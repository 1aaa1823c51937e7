import sys

import pytest

from benchmarks import ingestion
from shiftvit.features import SPLITS, split_folder
from shiftvit.input_pipeline import count_records


def test_ingestion_covers_all_images(tmp_path):
    seconds = ingestion._ingest_random(tmp_path, 60_000, tmp_path)

    assert seconds > 0
    assert count_records([f"{split_folder(tmp_path / 'examples', split)}/*" for split in SPLITS]) == 60_000


@pytest.mark.slow
def test_each_row_runs_in_a_process_of_its_own(tmp_path):
    held = bytearray(1 << 30)  # memory of this process, which must not count

    figures = [ingestion.in_a_process(hold, tmp_path, mebibytes) for mebibytes in (0, 512)]

    assert [seconds for seconds, _ in figures] == [1.5, 1.5]
    low, high = (peak for _, peak in figures)
    assert low < len(held) and 500 << 20 < high - low < 560 << 20


def hold(archive, mebibytes, folder):
    bytearray(mebibytes << 20)
    return 1.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.tar.gz"], "gone.tar.gz: no such file; give CIFAR-10's binary archive"),
        ([], "the following arguments are required: ARCHIVE"),
    ],
)
def test_wrong_usage_ends_with_one_sentence_and_status_2(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ingestion", *arguments])

    with pytest.raises(SystemExit, match="2"):
        ingestion.main()
    assert capsys.readouterr().err.endswith(f"python -m benchmarks.ingestion: error: {message}\n")
