"""What the documents hold: commands, files and changes of files."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]
OF_A_WORKSPACE = (  # run for real, in test_pipeline.py, where a run has ended
    "shiftvit predict picture.png",
    "shiftvit show",
    "shiftvit report",
    "shiftvit runs",
    "shiftvit runs --sort top-1",
    "shiftvit versions",
    "tensorboard --logdir workspace/artifacts/Trainer/model_run",
)


def blocks(document: Path, language: str) -> list[str]:
    """Returns the fenced blocks of that language, wherever they are indented."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", document.read_text(), re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def commands(document: Path) -> list[str]:
    """Returns the commands of console blocks, each as one line without the comment that follows it."""
    told = "".join(blocks(document, "console"))
    lines = re.sub(r" *\\\n\s*", " ", told).splitlines()
    lines += [f"$ {line.strip()}" for line in re.findall(r"^    shiftvit .*", document.read_text(), re.MULTILINE)]
    for line in lines:
        assert line.startswith("$ "), f"{document.name}: a console block has a line that is no command: {line}"
    return [re.split(r"\s+#\s|\s{3,}", line[2:])[0].strip() for line in lines]


def mentions(document: Path) -> list[str]:
    """Returns the commands of ours in the running text, and in comments."""
    text = document.read_text().replace("```", "")
    return [re.sub(r"\s+", " ", code) for code in re.findall(r"`(shiftvit [^`←]+)`", text)]


def split(command: str) -> tuple[dict[str, str], list[str]]:
    """Returns the variables that a command sets, and its words."""
    words = [word for word in shlex.split(command) if word != "..."]
    count = next((number for number, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)), len(words))
    return dict(word.split("=", 1) for word in words[:count]), words[count:]


def write_files(document: Path, folder: Path) -> None:
    """Writes every block of code that begins with the name of its file."""
    for block in blocks(document, "python"):
        if name := re.match(r"# (\S+\.py)\n", block):
            (folder / name[1]).write_text(block)


def change_files(document: Path, folder: Path) -> None:
    """Makes every change in blocks of diff; what a hunk replaces must be in its file once."""
    for block in blocks(document, "diff"):
        for part in re.split(r"^--- .*\n", block, flags=re.MULTILINE)[1:]:
            header, *hunks = re.split(r"^@@\n", part, flags=re.MULTILINE)
            file = folder / header.strip().removeprefix("+++ b/")
            for hunk in hunks:
                lines = [line or " " for line in hunk.splitlines()]
                old, new = ("\n".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
                found = file.read_text().count(old)
                assert found == 1, f"{document.name}: this is in {file.name} {found} times and not once:\n{old}"
                file.write_text(file.read_text().replace(old, new))
