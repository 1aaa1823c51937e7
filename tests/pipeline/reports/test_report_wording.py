from pipeline.reports.wording import conclusion
from pipeline.runs.run_result import RunResult


def test_conclusion_if_an_earlier_run_pushed_the_model():
    result = RunResult(pushed_version="17", destination="serving/17", metrics={"top1": 0.931})

    assert conclusion(result) == (
        "Nothing new to push: version 17 in serving is this model (top-1 93.1% on the test split)."
    )
