"""The ML Test Score in docs/reliability.md: its tests exist, and its points add up."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
SECTION = (TESTS.parent / "docs" / "reliability.md").read_text(encoding="utf-8").partition("## The ML Test Score")[2]
ROW = re.compile(r"^\| (.+?) \| (0|0\.5|1) \| (.*) \|$", re.MULTILINE)
HEAD = re.compile(r"^\| (\w+): ([\d.]+) points", re.MULTILINE)


def test_every_named_test_exists():
    named = re.findall(r"`tests/((?:\w+/)*test_\w+\.py)(?:::(test_\w+))?`", SECTION)
    assert len(named) > 15
    for path, test in named:
        assert re.search(rf"^def {test}\(" if test else "^def test_", (TESTS / path).read_text(), re.MULTILINE), path


def test_a_row_with_a_whole_point_names_its_test():
    for title, points, reason in ROW.findall(SECTION):
        assert ("::test_" in reason) == (points == "1"), title


def test_points_add_up_and_the_score_is_the_lowest_section():
    _, *sections = HEAD.split(SECTION)
    sums = {}
    for name, total, rows in zip(*[iter(sections)] * 3, strict=True):
        points = [float(points) for _, points, _ in ROW.findall(rows)]
        assert len(points) == 7 and sum(points) == float(total), name
        sums[name] = sum(points)
    assert list(sums) == ["data", "model", "infrastructure", "monitoring"]
    assert f"This project has **{min(sums.values()):g}**" in SECTION
