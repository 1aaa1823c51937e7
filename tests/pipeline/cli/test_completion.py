"""Completion in bash: runs the script that the command prints and the function that TAB calls."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.completion import SHELLS, settings
from pipeline.config.overrides import override
from pipeline.config.presets import preset
from shiftvit.config import to_dict

ROOT = Path(__file__).parents[3]
COMPLETE = r"""
source <(shiftvit completion bash)
function=$(complete -p shiftvit | sed 's/.* -F \([^ ]*\) .*/\1/')
for COMP_LINE in "$@"; do
    COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMPREPLY=()
    $function shiftvit
    echo "${COMPREPLY[@]}"
done
"""
COMPLETIONS = {  # by what is typed before TAB
    "shiftvit ro": {"rollback"},
    "shiftvit kubeflow ": {"compile", "rehearse", "submit", "worker-job"},
    "shiftvit runs --js": {"--json"},
    "shiftvit run --preset cif": {"cifar10", "cifar10-cpu"},
    "shiftvit run --set train.epo": {"train.epochs="},
    "shiftvit run --set train.epochs=4 --set data.fl": {"data.flip="},
    "shiftvit run --set data.flip=": {"true", "false"},
    "shiftvit run --set train.precision=m": {"mixed_bfloat16"},
    "shiftvit run --set model=shiftvit_r2_t": {"shiftvit_r2_tiny"},
    "shiftvit run --data tf": {"tfds"},
    "shiftvit run --data loc": {"local.tar.gz"},
    "shiftvit bench st": {"step"},
    "shiftvit show ": {"20261123-153012", "20261124-090000"},
    "shiftvit show --workspace other 2": {"20251231-235959"},
    "shiftvit rollback ": {"1795449784"},
    "shiftvit predict --version ": {"1795449784"},
    "shiftvit completion ": set(SHELLS),
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with `shiftvit` on its PATH."""
    programs = tmp_path_factory.mktemp("bin")
    (programs / "shiftvit").write_text(f'#!{shutil.which("sh")}\nexec {sys.executable} -m pipeline.cli.main "$@"\n')
    (programs / "shiftvit").chmod(0o755)
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": path}


@pytest.fixture(scope="module")
def completed(tmp_path_factory, environment):
    """What bash offers for each line of COMPLETIONS, in a folder with a workspace."""
    folder = tmp_path_factory.mktemp("folder")
    for run in ("workspace/runs/20261123-153012", "workspace/runs/20261124-090000", "other/runs/20251231-235959"):
        (folder / run).mkdir(parents=True)
    (folder / "workspace/serving/shiftvit/1795449784").mkdir(parents=True)
    (folder / "workspace/serving/shiftvit/1795449784/saved_model.pb").touch()
    (folder / "local.tar.gz").touch()
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE, "bash", *COMPLETIONS],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(zip(COMPLETIONS, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("line", COMPLETIONS)
def test_bash_completes(completed, line):
    assert set(completed[line].split()) == COMPLETIONS[line]


@pytest.mark.parametrize("shell", SHELLS)
def test_script_of_each_shell_is_valid(environment, shell):
    script = subprocess.run(
        ["shiftvit", "completion", shell], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "shiftvit" in script and "_ARGCOMPLETE" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def keys_of(tree, path=""):
    for name, value in tree.items():
        yield from keys_of(value, f"{path}{name}.") if isinstance(value, dict) else [path + name]


def test_completion_offers_all_settings():
    assert {key.rstrip("=") for key in settings("")} == {*keys_of(to_dict(preset("quickstart"))), "model"}


@pytest.mark.parametrize("key", ["model", "model.norm", "data.flip", "tune.algorithm"])
def test_offered_values_are_valid(key):
    offered = settings(f"{key}=")
    assert len({override(preset("cifar10"), [setting, "model.image_size=224"]) for setting in offered}) == len(offered)


def test_completion_imports_nothing_heavy():
    heavy = ("tensorflow", "tfx", "apache_beam", "ml_metadata", "rich", "PIL")
    program = (
        "import sys\nfrom pipeline.cli import completion\nfrom pipeline.cli.main import make_parser\n"
        "parser = make_parser()\n"
        "completion._attach(parser)\ncompletion.settings('')\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (loaded.returncode, loaded.stdout.strip()) == (0, "[]"), loaded.stderr
