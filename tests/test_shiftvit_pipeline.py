"""The entry point finds this project's modules, its libraries and Python's own before a user's of the same names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENTRY = Path(__file__).parents[1] / "shiftvit_pipeline.py"
OURS = ("charts", "shiftvit", "tuner", "components", "benchmarks", "pipeline")
OTHERS = ("numpy", "rich", "random", "json", "argparse", "logging", "tempfile", "tokenize")


@pytest.fixture
def project(tmp_path):
    """A user's project whose modules have names of ours, of libraries and of Python's own."""
    for name in (*OURS, *OTHERS):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('the {name} of the user')")
    (tmp_path / "my_search.py").write_text("")
    return tmp_path


def program(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, ENTRY, *arguments], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True
    )


@pytest.mark.parametrize("path", [".", "", "..:.", ":"])
def test_modules_of_the_user_do_not_replace_others(project, path):
    done = program("pipeline.cli.main", "runs", cwd=project, PYTHONPATH=path)

    assert (done.returncode, done.stderr) == (0, "")


def test_modules_of_the_user_are_found_last(project):
    (project / "show.py").write_text("import rich, tuner, my_search; print(tuner.__file__, rich.__file__)")

    done = program("show", cwd=project, PYTHONPATH=".")

    ours, rich = done.stdout.split()
    assert Path(ours).parents[1] == ENTRY.parent and project not in Path(rich).parents


def test_processes_that_others_start_find_our_modules_first(project):
    (project / "start.py").write_text(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import components, my_search'], check=True, cwd='/')"
    )

    done = program("start", cwd=project, PYTHONPATH=str(project))

    assert (done.returncode, done.stderr) == (0, "")


def test_script_of_an_installation_starts_in_such_a_project(project, tmp_path):
    (project / "shiftvit_script").write_text(
        f"import sys; sys.path.append({str(ENTRY.parent)!r})\nfrom shiftvit_pipeline import main\nsys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, project / "shiftvit_script", "--version"], cwd=project, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("shiftvit ")


def test_working_directory_that_was_removed_is_reported(tmp_path):
    (tmp_path / "gone").mkdir()
    command = f'rmdir "$PWD"; {sys.executable} {ENTRY} pipeline.cli.main runs'

    done = subprocess.run(["sh", "-c", command], cwd=tmp_path / "gone", capture_output=True, text=True)

    assert done.returncode == 2 and done.stderr.startswith("shiftvit: the working directory was removed"), done.stderr


def test_entry_point_runs_a_module_as_python_does(project):
    (project / "show.py").write_text("import sys; print(__name__, sys.argv[1:], __spec__.name)")

    done = program("show", "a", "-b", cwd=project, PYTHONPATH=".")

    assert done.stdout.split("\n")[0] == "__main__ ['a', '-b'] show", done.stderr
