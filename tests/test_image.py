import fnmatch
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("charts", "shiftvit", "tuner", "components", "benchmarks", "pipeline")
STACKS = ("classic", "current")
COMMANDS = ("bash", "cat", "cut", "dirname", "find", "mktemp", "rm", "sed", "sha256sum", "sort", "xargs")


# The build context.


def copy_context(root, folder):
    """Copies the build context: .dockerignore excludes everything, then lists the exceptions."""
    everything, *lines = [line for line in (root / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    assert everything == "*"
    ignored = shutil.ignore_patterns(*(line.removeprefix("**/") for line in lines if line[0] != "!"))
    for name in (line[1:] for line in lines if line[0] == "!"):
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=ignored)
        else:
            shutil.copy(root / name, folder / name)


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    folder = tmp_path_factory.mktemp("context")
    copy_context(ROOT, folder)
    return folder


@pytest.fixture(scope="module")
def installed(context, tmp_path_factory):
    """The folder where setup.py installs the packages of the build context."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(folder)]
    subprocess.run(command, cwd=context, check=True, capture_output=True)
    return folder


def files_below(folder, *parts):
    found = (path for part in parts or [""] for path in (folder / part).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in found if path.suffix not in (".md", ".pyc")}


def test_every_file_of_every_package_is_installed(installed):
    assert files_below(installed) == files_below(ROOT, *PACKAGES) | {"shiftvit_pipeline.py"}


@pytest.mark.parametrize("module", ["pipeline.runners.kubeflow.entrypoint", "pipeline.cli.main"])
def test_installed_program_starts_in_another_folder(installed, tmp_path, module):
    # Without the site module, because a development install of this tree would hide missing files.
    code = (
        "import runpy, sys; "
        f"sys.path[:0] = [{str(installed)!r}]; sys.path += [{sysconfig.get_path('purelib')!r}]; "
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-I", "-S", "-c", code, "--help"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("usage: ")


def test_context_has_nothing_else(context, tmp_path):
    tree, folder = tmp_path / "tree", tmp_path / "folder"
    shutil.copytree(context, tree)
    shutil.copy(ROOT / ".dockerignore", tree)
    for name in (
        ".git",
        ".venv",
        "workspace",
        "tests",
        "pipeline/__pycache__",
        "pipeline/runners/kubeflow/__pycache__",
    ):
        (tree / name).mkdir()
        (tree / name / "file").touch()
    folder.mkdir()

    copy_context(tree, folder)

    assert files_below(folder) == files_below(context)


# The Dockerfile.


def stages():
    """Returns the stages of the Dockerfile, each a list of (instruction, argument)."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", "")
    found = []
    for line in filter(None, text.splitlines()):
        instruction, argument = line.split(maxsplit=1)
        if instruction == "FROM":
            found.append([])
        if found:  # not an ARG before the first stage
            found[-1].append((instruction, argument))
    return found


def arguments(stage, instruction):
    return [argument for name, argument in stage if name == instruction]


def test_user_is_a_number_so_that_kubernetes_can_check_that_it_is_not_root():
    user = arguments(stages()[-1], "USER")[-1]

    assert re.fullmatch(r"[1-9]\d*(:\d+)?", user)


def test_every_download_is_checked_against_the_lock():
    commands = [command for stage in stages() for run in arguments(stage, "RUN") for command in run.split("&&")]
    installs = [command for command in commands if "install" in command.split()]

    assert len(installs) == 3
    assert all("--require-hashes" in command or "--no-index" in command for command in installs)
    assert all("--no-deps" in command for command in installs)


def test_code_changes_leave_the_dependencies_layer_cached():
    dependencies, project, final = stages()[-3:]

    assert {source for copy in arguments(dependencies, "COPY") for source in copy.split()[:-1]} == {
        "requirements-*.lock"
    }
    assert arguments(project, "FROM") == ["dependencies AS project"]
    assert all(copy.startswith("--from=") for copy in arguments(final, "COPY"))


@pytest.mark.parametrize(("stack", "python"), [("classic", "3.10"), ("current", "3.13")])
def test_both_base_images_have_the_python_of_the_stack_and_the_last_has_no_compiler(stack, python):
    base = {name: image for image, name in (arguments(stage, "FROM")[0].split(" AS ") for stage in stages()[:-1])}
    names = [arguments(stage, "FROM")[0].split()[0] for stage in (stages()[-3], stages()[-1])]

    build, run = (base[name.replace("${STACK}", stack)] for name in names)

    assert build.startswith(f"python:{python}-") and run == build.replace(f"{python}-", f"{python}-slim-")


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore", ".ci/image", ".ci/kfp", ".ci/registry"])
def test_build_files_name_no_host(name):
    assert "://" not in (ROOT / name).read_text()


# `make image`.


@pytest.fixture
def machine(context, tmp_path):
    """A copy of the project, and a PATH with the programs that .ci/image uses, but no container engine."""
    project, programs = tmp_path / "project", tmp_path / "bin"
    shutil.copytree(context, project)
    (project / ".ci").mkdir()
    programs.mkdir()
    for name in (".ci/image", ".ci/registry", "Dockerfile", ".dockerignore"):
        shutil.copy(ROOT / name, project / name)
    for name in COMMANDS:
        (programs / name).symlink_to(shutil.which(name))
    return project, programs


def add_engine(machine, name):
    """Adds an engine that prints its arguments and its secrets."""
    engine = machine[1] / name
    engine.write_text(
        f'#!{shutil.which("bash")}\necho "{name} $*"\nfor a; do case $a in id=*) cat "${{a#*src=}}" ;; esac; done\n'
    )
    engine.chmod(0o755)


def image(machine, **environment):
    project, programs = machine
    environment = {"PATH": str(programs), "TMPDIR": str(project.parent)} | environment
    return subprocess.run([project / ".ci/image"], env=environment, capture_output=True, text=True)


def built_name(machine, **environment):
    ended = image(machine, **environment)
    assert ended.returncode == 0, ended.stderr
    assert f"--tag {ended.stdout.strip()} " in ended.stderr
    return ended.stdout.strip()


def test_missing_engine_is_reported_in_one_sentence(machine):
    ended = image(machine)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "image: found neither docker nor podman to build it with; install either, then try again\n"


def test_unknown_stack_is_reported_in_one_sentence(machine):
    ended = image(machine, STACK="newest")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "image: STACK=newest is unknown: set it to classic or current\n"


@pytest.mark.parametrize(("chosen", "built"), [({}, "current"), ({"STACK": "classic"}, "classic")])
def test_image_has_the_chosen_stack_by_default_the_current_one(machine, chosen, built):
    add_engine(machine, "docker")

    assert f" --build-arg STACK={built} " in image(machine, **chosen).stderr


def test_podman_works_without_docker(machine):
    add_engine(machine, "podman")

    assert image(machine).stderr.startswith("podman build --tag shiftvit:")


def test_tag_changes_with_the_context_and_with_nothing_else(machine):
    add_engine(machine, "docker")
    project, _ = machine
    first = built_name(machine)
    (project / "README.md").write_text("changed")
    (project / "pipeline/__pycache__").mkdir()
    (project / "pipeline/__pycache__/dag.pyc").write_text("changed")
    assert built_name(machine) == first

    names = {first, built_name(machine, GPU="1"), built_name(machine, STACK="classic")}
    assert first == built_name(machine, STACK="current")
    for name in (
        "pipeline/graph/dag.py",
        "pipeline/serving/page.html",
        "requirements-current-gpu.lock",
        "setup.py",
        "Dockerfile",
    ):
        with (project / name).open("a") as file:
            file.write("\n")
        names.add(built_name(machine))
    (project / "tuner/new.py").touch()
    names.add(built_name(machine))

    assert len(names) == 9
    assert all(fnmatch.fnmatch(name, "shiftvit:" + "[0-9a-f]" * 12 + "*") for name in names)


def test_custom_name_gets_a_tag_unless_it_has_one(machine):
    add_engine(machine, "docker")
    tag = built_name(machine).removeprefix("shiftvit")

    assert built_name(machine, IMAGE="host:5000/team/shiftvit") == f"host:5000/team/shiftvit{tag}"
    assert built_name(machine, IMAGE="host:5000/shiftvit:1") == "host:5000/shiftvit:1"


def test_custom_registry_is_passed_as_a_secret(machine):
    add_engine(machine, "docker")
    line, *secret = image(machine, PIP_INDEX_URL="https://user:password@host/simple").stderr.splitlines()

    assert secret == ["[global]", "index-url = https://user:password@host/simple"]
    assert "password" not in line
    assert not list(machine[0].parent.glob("tmp*"))
    assert "--secret" not in image(machine).stderr
