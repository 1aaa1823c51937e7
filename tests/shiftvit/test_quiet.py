import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A stand-in for what the real one does when it loads: C++ writes lines, and Python makes a handler of a log.
NOISY = """
import logging, os, sys
os.write(2, b"native while loading\\n")
print("Python while loading", file=sys.stderr)
logging.getLogger().addHandler(logging.StreamHandler())
"""
PROGRAM = """
import logging, os, sys
from shiftvit.quiet import silence_libraries
silence_libraries()
silence_libraries()
import tensorflow
logging.warning("log")
print("Python", file=sys.stderr)
os.write(2, b"native\\n")
"""


def stderr_of(program, folder):
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True).stderr


def test_native_code_is_silent_only_while_tensorflow_loads(tmp_path):
    (tmp_path / "tensorflow.py").write_text(NOISY)

    assert stderr_of(PROGRAM, tmp_path).splitlines() == ["Python while loading", "log", "Python", "native"]


def test_an_error_of_loading_tensorflow_is_shown(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('too old a processor')")

    assert stderr_of(PROGRAM, tmp_path).endswith("ImportError: too old a processor\n")


@pytest.mark.slow
def test_the_real_tensorflow_writes_nothing(tmp_path):
    program = "from shiftvit.quiet import silence_libraries; silence_libraries(); import tensorflow as tf; tf.zeros(1)"

    assert stderr_of(program, tmp_path) == ""
