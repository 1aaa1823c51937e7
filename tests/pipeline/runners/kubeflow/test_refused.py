import pytest

from pipeline.runners.kubeflow import refused
from shiftvit.errors import NotBlessedError


@pytest.mark.parametrize(("then", "code"), [("pass", 0), ("fail", NotBlessedError.exit_code)])
def test_the_log_ends_with_the_sentence_and_the_setting_decides_how_the_run_ends(then, code, capsys):
    assert refused.main(["not pushed: top-1 81.2% is below 90%", f"--then={then}", "--code=c"]) == code

    assert capsys.readouterr().err == "shiftvit: not pushed: top-1 81.2% is below 90%\n"
