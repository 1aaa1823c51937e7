import json

from pipeline.runs import run_result
from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import RunFolder


def test_result_survives_json_and_unknown_keys_are_ignored(tmp_path):
    result = RunResult(reasons=["top-1 is too low"], metrics={"top1": 0.4}, latency_ms={"1": 12.5})
    folder = RunFolder(tmp_path)

    assert run_result.read(folder) is None
    run_result.write(folder, result)
    assert run_result.read(folder) == result
    assert RunResult.from_dict(json.loads(folder.result.read_text()) | {"event": "result"}) == result
