"""Reads the commands, files and patches that the documentation shows."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")
DOCUMENTS = [*(ROOT / page for page in PAGES), *sorted((ROOT / "docs").glob("*.md"))]
WORKSPACE_COMMANDS = (  # test_pipeline.py runs them in a workspace that holds a finished run
    "shiftvit clean",
    "shiftvit predict picture.png",
    "shiftvit show",
    "shiftvit report",
    "shiftvit runs",
    "shiftvit runs --sort top-1",
    "shiftvit versions",
    "tensorboard --logdir workspace/artifacts/Trainer/model_run",
)


def blocks(document: Path, language: str) -> list[str]:
    """Returns the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)


def commands(document: Path) -> list[str]:
    """Returns the commands of console blocks and of indented lines, each as one line without its comment."""
    lines = re.sub(r" *\\\n\s*", " ", "".join(blocks(document, "console"))).splitlines()
    lines += [f"$ {line.strip()}" for line in re.findall(r"^    shiftvit .*", document.read_text(), re.MULTILINE)]
    for line in lines:
        assert line.startswith("$ "), f"{document.name}: a line of a console block is not a command: {line}"
    return [re.split(r"\s+#\s|\s{3,}", line[2:])[0].strip() for line in lines]


def mentions(document: Path) -> list[str]:
    """Returns the `shiftvit` commands in the running text and in comments."""
    text = document.read_text().replace("```", "")
    return [re.sub(r"\s+", " ", code) for code in re.findall(r"`(shiftvit [^`←]+)`", text)]


def split(command: str) -> tuple[dict[str, str], list[str]]:
    """Splits a command into the variables that it sets and its words.

    >>> split("A=1 shiftvit run ...")
    ({'A': '1'}, ['shiftvit', 'run'])
    """
    words = [word for word in shlex.split(command) if word != "..."]
    count = next((number for number, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)), len(words))
    return dict(word.split("=", 1) for word in words[:count]), words[count:]


def write_files(document: Path, folder: Path) -> None:
    """Writes each Python block that begins with a comment of its file's name."""
    for block in blocks(document, "python"):
        if name := re.match(r"# (\S+\.py)\n", block):
            (folder / name[1]).write_text(block)


def links(document: Path) -> list[tuple[str, str]]:
    """Returns the file and the anchor of each link within the project; either may be empty."""
    return re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", _without_blocks(document))


def anchors(document: Path) -> set[str]:
    """Returns the anchors that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.*)$", _without_blocks(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _without_blocks(document: Path) -> str:
    return re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
