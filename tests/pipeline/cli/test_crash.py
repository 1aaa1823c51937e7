"""Unexpected errors and signals: a sentence, an exit code, and no traceback unless it is asked for."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import HANG_SECONDS

from pipeline.cli import past_runs
from pipeline.cli.main import main
from shiftvit.processes import python

# The command line, whose command `runs` is replaced by this code.
# Python ignores SIGINT when a shell starts it in the background.
REPLACED = """
import os, signal, sys, time
from pathlib import Path
from pipeline.cli import main, past_runs
def command(arguments):
    try:
        os.write(1, b"started\\n")
        time.sleep(3600)
    finally:
        print("stopping", flush=True)
        {cleanup}
past_runs._runs = command
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main.program())
"""


@pytest.fixture
def broken(monkeypatch, tmp_path):
    """A command that fails as nobody expected."""

    def fail(arguments):
        raise ZeroDivisionError("division by zero\nand more")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(past_runs, "_runs", fail)
    return tmp_path


def test_unexpected_error_is_a_sentence_with_the_file_that_has_the_traceback(broken, capsys):
    assert main(["runs"]) == 1

    out, err = capsys.readouterr()
    found = re.fullmatch(r"shiftvit: unexpected ZeroDivisionError: division by zero \(traceback: (.+)\)\n", err)
    assert out == "" and found, err
    text = Path(found[1]).read_text()
    assert 'raise ZeroDivisionError("division by zero' in text and "Python 3" in text


def test_traceback_that_cannot_be_written_is_offered(broken, capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(broken / "absent"))

    assert main(["runs"]) == 1
    assert capsys.readouterr().err.endswith("division by zero (--debug shows the traceback)\n")


@pytest.mark.parametrize("arguments", [["--debug", "runs"], ["runs", "--debug"]])
def test_debug_lets_the_error_through(broken, arguments):
    with pytest.raises(ZeroDivisionError):
        main(arguments)
    assert list(broken.iterdir()) == []


def test_run_shows_the_traceback_of_its_log_only_with_debug(tmp_path, monkeypatch, capsys):
    from pipeline.runners.local import launch

    monkeypatch.setattr(launch, "CHILD", (sys.executable, "-c", "print(); 1 / 0"))

    assert main(["run", "--workspace", str(tmp_path)]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert main(["run", "--debug", "--workspace", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent") and "shiftvit: the run failed: ZeroDivisionError" in err


def start(cleanup="", **options):
    code = REPLACED.format(cleanup=cleanup)
    process = subprocess.Popen(
        [sys.executable, "-c", code, "runs"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )
    assert process.stdout.readline() == "started\n", process.stderr.read()
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_second_signal_does_not_disturb_the_end(number):
    process = start(f"os.kill(os.getpid(), {number:d}); print('stopped')")
    process.send_signal(number)

    out, err = process.communicate(timeout=HANG_SECONDS)

    assert (process.returncode, out, err) == (130, "stopping\nstopped\n", "shiftvit: interrupted\n")


def test_third_signal_ends_the_command_at_once():
    process = start("os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGINT); time.sleep(3600)")
    process.send_signal(signal.SIGINT)

    _, err = process.communicate(timeout=HANG_SECONDS)

    assert (process.returncode, err) == (130, "")


def test_ignored_hangup_stays_ignored():
    process = start(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)

    _, err = process.communicate(timeout=HANG_SECONDS)

    assert (process.returncode, err) == (130, "shiftvit: interrupted\n")


def test_interrupt_while_modules_load_is_a_sentence(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nclass Slow:\n def find_spec(self, name, *_):\n  if name == 'pipeline': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Slow())\n"
    )
    code = "import sys, shiftvit_pipeline; sys.exit(shiftvit_pipeline.main())"
    path = os.pathsep.join([str(tmp_path), str(Path(python("x")[1]).parent)])

    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (130, "shiftvit: interrupted\n")
