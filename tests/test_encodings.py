"""Text files name their encoding, whatever the locale, and no byte that is kept is replaced."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("benchmarks", "charts", "components", "pipeline", "shiftvit", "tuner")
# Functions of that name with other arguments, or always of bytes or of UTF-8.
OTHER = ("os", "Image", "tarfile", "zipfile", "fileio", "pixels", "self", "webbrowser", "io")


def text_calls(tree):
    """Yields the calls that open, read or write a text file or a process's output."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        owner = getattr(getattr(call.func, "value", None), "id", "")
        constants = [value.value for value in (*call.args, *keywords.values()) if isinstance(value, ast.Constant)]
        binary = any(isinstance(value, str) and "b" in value and len(value) <= 3 for value in constants)
        opens = (name == "open" and owner not in OTHER and not binary) or (name == "fdopen" and not binary)
        if (opens and "timeout" not in keywords) or name in ("read_text", "write_text") or "text" in keywords:
            yield call, keywords
        if name == "decode" or "errors" in keywords:
            yield call, {"encoding": None, **keywords, "lossy": {"replace"} & set(constants)}


@pytest.mark.parametrize("package", PACKAGES)
def test_text_is_utf8_and_nothing_is_replaced(package):
    for path in sorted((ROOT / package).rglob("*.py")):
        for call, keywords in text_calls(ast.parse(path.read_text(encoding="utf-8"))):
            place = f"{path.relative_to(ROOT)} line {call.lineno}"
            assert "encoding" in keywords, f'{place}: add encoding="utf-8"'
            assert not keywords.get("lossy"), (
                f"{place}: use strict decoding, or backslashreplace for what is only shown"
            )
