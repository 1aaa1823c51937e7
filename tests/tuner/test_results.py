import dataclasses
import json

import pytest
from made_results import make_results, make_trial

from components.lite.report import FLOAT32, LiteFile, LiteReport
from shiftvit.errors import DataError
from tuner import results

MADE = make_results(make_trial("0", 0.5))


def test_results_are_read_as_they_were_written(tmp_path):
    (tmp_path / "trials.json").write_text(results.to_json(MADE))

    assert results.to_json(results.read(tmp_path / "trials.json")) == results.to_json(MADE)


@pytest.mark.parametrize("change", [{"whole": True}, {"seconds": None, "space": [{"name": "x"}]}])
def test_results_of_another_version_are_refused_with_the_file(change, tmp_path):
    written = json.loads(results.to_json(MADE)) | change
    (tmp_path / "trials.json").write_text(json.dumps(written))

    with pytest.raises(DataError, match=r"trials\.json: another version of this project wrote it"):
        results.read(tmp_path / "trials.json")


def test_a_report_of_lite_files_of_another_version_is_refused():
    made = LiteReport(10, (LiteFile(FLOAT32, 100, 1.0, 1.0),))
    report = json.loads(json.dumps(dataclasses.asdict(made)))
    assert LiteReport.from_dict(report) == made

    with pytest.raises(DataError, match="another version of this project wrote it"):
        LiteReport.from_dict(report | {"files": [{"name": FLOAT32, "spared": 1}]})
