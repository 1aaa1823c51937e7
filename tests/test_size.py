"""Limits of size, so that every part of the code can be read at one sitting."""

import ast
from pathlib import Path

from test_imports import ORDER, files, module_of, package_of

ROOT = Path(__file__).parent.parent
MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 40
LARGEST_SHARE_OF_A_PACKAGE = 0.2


def count_lines(path):
    return len(path.read_text().splitlines())


def functions(path):
    """Yields the name and the length of every function of the file, docstrings included and decorators not."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{module_of(path)}.{node.name}", node.end_lineno - node.lineno + 1


def test_no_file_is_too_long():
    paths = [*files(), *(ROOT / "tests").rglob("*.py")]
    too_long = {str(path.relative_to(ROOT)): count_lines(path) for path in paths}

    assert {name: lines for name, lines in too_long.items() if lines > MOST_LINES_OF_A_FILE} == {}


def test_no_function_is_too_long():
    lengths = [function for path in files() for function in functions(path)]

    assert [(name, lines) for name, lines in lengths if lines > MOST_LINES_OF_A_FUNCTION] == []


def test_no_package_is_too_large():
    lines = dict.fromkeys(ORDER, 0)
    for path in files():
        if package_of(module_of(path)):
            lines[package_of(module_of(path))] += count_lines(path)
    total = sum(lines.values())

    assert {name: part / total for name, part in lines.items() if part > LARGEST_SHARE_OF_A_PACKAGE * total} == {}
