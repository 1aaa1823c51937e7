import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
KFP_LOCK = "tests/pipeline/runners/kubeflow/kfp.lock"
STACKS = ("classic", "current")
LOCKS = [f"requirements-{stack}{part}.lock" for stack in STACKS for part in ("", "-gpu")]
COMMANDS = ("sh", "dirname", "cat", "cmp", "tr", "sed", "awk", "mkdir", "rm", "grep", "sort", "head")


@pytest.fixture
def bare_machine(tmp_path):
    """A copy of the files that .ci/bootstrap reads, and a PATH with neither Python nor uv."""
    project, programs = tmp_path / "project", tmp_path / "bin"
    (project / ".ci").mkdir(parents=True)
    programs.mkdir()
    for name in (".ci/bootstrap", ".ci/glibc", ".ci/registry", *LOCKS, "setup.py"):
        shutil.copy(ROOT / name, project / name)
    for name in COMMANDS:
        (programs / name).symlink_to(shutil.which(name))
    write_program(programs / "getconf", "echo glibc 2.36")
    return project, programs


def bootstrap(project, programs, **environment):
    environment = {"PATH": str(programs), "HOME": str(project)} | environment
    return subprocess.run([project / ".ci/bootstrap"], env=environment, capture_output=True, text=True)


def write_program(path, text):
    path.write_text(f"#!{shutil.which('sh')}\n{text}\n")
    path.chmod(0o755)


def test_missing_python_is_reported_in_one_sentence(bare_machine):
    project, programs = bare_machine
    write_program(programs / "python3", "exit 127")  # a pyenv shim without its version

    ended = bootstrap(project, programs)

    assert ended.returncode == 1
    assert ended.stderr == (
        "bootstrap: found neither uv nor a Python 3.8 or newer with pip; install either, then try again\n"
    )
    assert not (project / ".venv").exists() and not (project / ".tools").exists()


@pytest.mark.parametrize("claim", ["nothing", "python find 3.10"])  # the commands with which uv succeeds, silently
def test_missing_python_3_10_is_reported(bare_machine, claim):
    project, programs = bare_machine
    write_program(programs / "python3.10", "echo 'pyenv: python3.10: command not found' >&2; exit 127")
    write_program(programs / "uv", f'[ "$1" = --version ] || [ "$*" = "{claim}" ]')

    ended = bootstrap(project, programs)

    assert ended.returncode == 1
    assert "no Python 3.10" in ended.stderr.splitlines()[-1]
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("interrupted", [False, True])
def test_environment_is_made_once_and_again_after_an_interruption(bare_machine, interrupted):
    project, programs = bare_machine
    write_program(programs / "python3.10", "exit 0")
    write_uv(project, programs, '[ "$1" = pip ] && exit 1' if interrupted else "")

    assert bootstrap(project, programs).returncode == int(interrupted)
    calls = (project / "calls").read_text()
    assert bootstrap(project, programs).returncode == int(interrupted)
    assert ((project / "calls").read_text() == calls) == (not interrupted)


def write_uv(project, programs, first=""):
    """Writes a uv that only notes how it is called."""
    made = f'if [ "$1" = venv ]; then mkdir -p {project}/.venv; fi'
    write_program(programs / "uv", f'echo "$*" >> {project}/calls\n{first}\n{made}; exit 0')


def made_with(machine, **environment):
    """Makes the environment; returns the message, the interpreter and the locks."""
    project, programs = machine
    write_uv(project, programs)
    ended = bootstrap(project, programs, **environment)
    assert ended.returncode == 0, ended.stderr
    calls = (project / "calls").read_text().splitlines()
    [venv], [sync] = ([call for call in calls if call.startswith(name)] for name in ("venv", "pip sync"))
    locks = [word for word in sync.split() if word.endswith(".lock")]
    return ended.stderr, Path(venv.split()[-2]).name, locks


OLD, NEW = "echo glibc 2.36", "echo glibc 2.39"


@pytest.mark.parametrize(
    ("glibc", "pythons", "environment", "interpreter", "stack", "why"),
    [
        (OLD, ["3.10", "3.13"], {}, "python3.10", "classic", "needs glibc 2.39, and this machine has 2.36"),
        ("echo glibc 2.4", ["3.10", "3.13"], {}, "python3.10", "classic", "this machine has 2.4"),
        ("exit 1", ["3.10", "3.13"], {}, "python3.10", "classic", "needs glibc 2.39"),
        (NEW, ["3.10", "3.13"], {}, "python3.13", "current", "has glibc 2.39 and a Python for it"),
        ("echo glibc 2.41", ["3.11", "3.12"], {}, "python3.12", "current", "has glibc 2.41"),
        (NEW, ["3.10"], {}, "python3.10", "classic", "needs Python 3.11 to 3.13, and none is on PATH"),
        (NEW, ["3.10", "3.13"], {"STACK": "classic"}, "python3.10", "classic", "as STACK says"),
        (NEW, ["3.10", "3.13"], {"GPU": "1"}, "python3.13", "current", "has glibc 2.39"),
    ],
)
def test_stack_fits_the_machine(bare_machine, glibc, pythons, environment, interpreter, stack, why):
    _, programs = bare_machine
    write_program(programs / "getconf", glibc)
    for version in pythons:
        # Passes the check of one version only, as a real one does: the program names the versions that it accepts.
        write_program(programs / f"python{version}", f"case $2 in *\\'*{version}*\\'*) ;; *) exit 1 ;; esac")

    message, found, locks = made_with(bare_machine, **environment)

    assert found == interpreter
    assert locks == [f"requirements-{stack}{part}.lock" for part in ("", *(["-gpu"] if "GPU" in environment else []))]
    assert message.count("\n") == 1 and f"the {stack} stack (" in message and why in message


def test_stack_stays_what_it_was_until_STACK_says_otherwise(bare_machine):
    project, programs = bare_machine
    write_program(programs / "getconf", NEW)
    for version in ("3.10", "3.13"):
        write_program(programs / f"python{version}", "exit 0")
    made_with(bare_machine, STACK="classic")
    (project / "calls").unlink()

    assert bootstrap(project, programs).stderr == "" and not (project / "calls").exists()
    assert "the current stack (as STACK says" in made_with(bare_machine, STACK="current")[0]


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        ("newest", "STACK=newest is unknown: set it to classic or current"),
        ("current", "needs glibc 2.39 (Debian 13, Ubuntu 24.04), and this machine has 2.36: use STACK=classic"),
    ],
)
def test_stack_that_cannot_be_is_refused_in_one_sentence(bare_machine, stack, message):
    project, programs = bare_machine
    ended = bootstrap(project, programs, STACK=stack)

    assert ended.returncode == 1 and message in ended.stderr and ended.stderr.count("\n") == 1
    assert not (project / ".venv").exists() and not (project / ".tools").exists()


@pytest.mark.parametrize("lock", [*LOCKS, KFP_LOCK])
def test_lock_names_no_host_and_no_folder(lock):
    text = (ROOT / lock).read_text()

    assert "://" not in text and str(ROOT) not in text
    assert os.sep + "tmp" not in text


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_current_lock_has_one_version_of_each_package_for_every_python(python):
    text = (ROOT / "requirements-current.lock").read_text()
    locked = [Requirement(line.rstrip("\\ ")) for line in text.splitlines() if re.match(r"[a-z]", line)]
    machine = {"python_version": python, "python_full_version": f"{python}.0"}
    names = [each.name for each in locked if each.marker is None or each.marker.evaluate(machine)]

    assert "--universal --python-version 3.11" in text.splitlines()[1]
    assert len(names) == len(set(names)) > 200


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 14, 0)])
def test_other_pythons_get_no_package_so_that_pip_says_what_is_wrong(version):
    code = (
        "import sys, setuptools; "
        "setuptools.setup = lambda **given: print(given['install_requires'], given['python_requires']); "
        f"sys.version_info = {version}; exec(open('setup.py').read())"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert ended.stdout == "[] >=3.10,<3.14\n", ended.stderr


def test_packages_that_do_not_fit_together_are_named(bare_machine):
    project, programs = bare_machine
    write_program(programs / "python3.10", "exit 0")
    write_uv(project, programs, '[ "$2" = check ] && echo "a requires b" >&2 && exit 1')

    ended = bootstrap(project, programs)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "bootstrap: the packages do not fit together: a requires b"
    assert bootstrap(project, programs).returncode == 1  # it is not taken for whole


def test_failure_of_the_packages_says_what_they_need(bare_machine):
    project, programs = bare_machine
    write_program(programs / "python3.10", "exit 0")
    write_uv(project, programs, '[ "$2" = sync ] && exit 1')

    assert "needs a C++ compiler and Python's headers" in bootstrap(project, programs).stderr.splitlines()[-1]


def test_run_refuses_an_unknown_stack_in_one_sentence():
    ended = subprocess.run([ROOT / ".ci/run"], env=os.environ | {"STACK": "newest"}, capture_output=True, text=True)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "run: STACK=newest is unknown: set it to classic or current, or to nothing for both\n"


def test_kfp_environment_is_made_once_and_again_after_an_interruption_or_a_new_lock(bare_machine):
    project, programs = bare_machine
    for name in ("cp", "readlink"):
        (programs / name).symlink_to(shutil.which(name))
    shutil.copy(ROOT / ".ci/kfp", project / ".ci/kfp")
    lock = project / KFP_LOCK
    lock.parent.mkdir(parents=True)
    lock.write_text("first")
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").touch()
    counting = f'echo "$1 $2" >> {project}/calls; mkdir -p {project}/.tools/kfp'
    made = "venv --quiet\npip sync\n"

    def calls(uv):
        write_program(project / ".venv/bin/uv", uv)
        subprocess.run([project / ".ci/kfp"], env={"PATH": str(programs), "HOME": str(project)})
        return (project / "calls").read_text()

    assert calls(f'{counting}; [ "$1" = venv ]') == made
    assert calls(counting) == calls(counting) == made * 2
    lock.write_text("second")
    assert calls(counting) == made * 3
