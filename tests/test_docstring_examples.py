import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("charts", "shiftvit", "benchmarks", "tuner", "components", "pipeline")


def modules_with_examples():
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files if ">>> " in path.read_text()]


@pytest.mark.parametrize("module", modules_with_examples())
def test_examples_in_docstrings_are_correct(module):
    failed, attempted = doctest.testmod(importlib.import_module(module.removesuffix(".__init__")))

    assert failed == 0 < attempted
