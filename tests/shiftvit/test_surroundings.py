"""What a process inherits, made good or refused in a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOW = """
import getpass, os, resource, signal, sys, tempfile
from shiftvit import errors, surroundings
try:
    surroundings.prepare()
except errors.UserError as error:
    sys.exit(f"{error.exit_code}: {error}")
print(os.path.expanduser("~"), os.environ["TMPDIR"], getpass.getuser(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print(signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL, not signal.pthread_sigmask(signal.SIG_BLOCK, ()))
print(sys.getfilesystemencoding())
print(*(name for name in os.environ if name.startswith("PYTHON")))
"""
NOBODY = "unshare --user --map-user=12345 --map-group=12345"


def prepared(shell, **environment):
    """Prepares a process that a shell starts by `"$@"`; returns what it shows then."""
    command = ["bash", "-c", shell, "bash", sys.executable, "-c", SHOW]
    known = {"PATH": os.environ["PATH"], "HOME": "/root", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=known | environment, capture_output=True, text=True)


def test_nothing_is_changed_in_ordinary_surroundings(tmp_path):
    done = prepared('"$@"', TMPDIR=str(tmp_path), USER="me")

    assert done.stdout.split()[:3] == ["/root", str(tmp_path), "me"], done.stderr


@pytest.mark.parametrize("home", ["env -u HOME", "env HOME="])
def test_user_without_a_name_and_a_home_gets_both(home, tmp_path):
    if subprocess.run([*NOBODY.split(), "true"], capture_output=True).returncode:
        pytest.skip("this kernel allows no user namespaces")

    done = prepared(f'{NOBODY} {home} "$@"', TMPDIR=str(tmp_path))

    assert done.stdout.split()[:3] == [str(tmp_path), str(tmp_path), "user12345"], done.stderr


@pytest.mark.parametrize("folder", ["/proc/absent", "/etc/hostname", "/proc"])
def test_temporary_folder_that_cannot_be_written_is_replaced_for_children_too(folder):
    assert prepared('"$@"', TMPDIR=folder).stdout.split()[1] in ("/tmp", "/var/tmp", "/usr/tmp")


def test_ignored_and_blocked_signals_work_again():
    if subprocess.run(["env", "--block-signal=TERM", "true"], capture_output=True).returncode:
        pytest.skip("this `env` is too old")

    done = prepared('env --ignore-signal=CHLD --block-signal=TERM "$@"')

    assert done.stdout.splitlines()[1] == "True True", done.stderr


def test_low_limit_of_open_files_is_raised():
    assert int(prepared('ulimit -Sn 64; "$@"').stdout.split()[3]) > 64


def test_limit_that_cannot_be_raised_is_refused():
    done = prepared('ulimit -n 64; "$@"')

    assert done.stderr == (
        "2: this process may open only 64 files, and 256 are needed; raise the limit with `ulimit -n 256`\n"
    )


def test_removed_working_directory_is_refused(tmp_path):
    done = prepared(f'mkdir {tmp_path}/x; cd {tmp_path}/x; rmdir ../x; "$@"')

    assert done.stderr == "2: the working directory was removed; change to another one, then try again\n"


def test_locale_of_ascii_alone_becomes_utf8():
    done = prepared('"$@"', LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")

    assert done.stdout.splitlines()[2] == "utf-8", done.stderr


def test_variables_for_developing_with_python_are_dropped():
    done = prepared('"$@"', PYTHONWARNINGS="default", PYTHONOPTIMIZE="2", PYTHONHASHSEED="0")

    assert sorted(done.stdout.splitlines()[3].split()) == ["PYTHONHASHSEED", "PYTHONPATH"]
