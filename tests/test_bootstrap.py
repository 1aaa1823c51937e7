import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
KFP_LOCK = "tests/pipeline/runners/kubeflow/kfp.lock"
COMMANDS = ("sh", "dirname", "cat", "cmp", "tr", "sed", "awk", "mkdir", "rm", "grep")


@pytest.fixture
def bare_machine(tmp_path):
    """A copy of the files that .ci/bootstrap reads, and a PATH with neither Python nor uv."""
    project, programs = tmp_path / "project", tmp_path / "bin"
    (project / ".ci").mkdir(parents=True)
    programs.mkdir()
    for name in (".ci/bootstrap", ".ci/registry", "requirements.lock", "setup.py"):
        shutil.copy(ROOT / name, project / name)
    for name in COMMANDS:
        (programs / name).symlink_to(shutil.which(name))
    return project, programs


def bootstrap(project, programs):
    environment = {"PATH": str(programs), "HOME": str(project)}
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
    write_program(
        programs / "uv",
        f'echo "$1 $2" >> {project}/calls\n'
        + ('[ "$1" = pip ] && exit 1\n' if interrupted else "")
        + f'if [ "$1" = venv ]; then mkdir -p {project}/.venv; fi; exit 0',
    )

    assert bootstrap(project, programs).returncode == int(interrupted)
    calls = (project / "calls").read_text()
    assert bootstrap(project, programs).returncode == int(interrupted)
    assert ((project / "calls").read_text() == calls) == (not interrupted)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-gpu.lock", KFP_LOCK])
def test_lock_names_no_host_and_no_folder(lock):
    text = (ROOT / lock).read_text()

    assert "://" not in text and str(ROOT) not in text
    assert os.sep + "tmp" not in text


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
