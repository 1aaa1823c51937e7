import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("shiftvit", "benchmarks", "tuner", "components", "pipeline")  # each may import those before it
HEAVY = ("tensorflow", "tfx", "apache_beam", "keras_tuner", "tensorflow_datasets")


def imports(path):
    """Yields the dotted name of every module that the file imports, at its top or within."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} line {node.lineno}: import by the full name"
            yield node.module


def files_and_imports(package):
    return [(path.relative_to(ROOT), name) for path in sorted((ROOT / package).rglob("*.py")) for name in imports(path)]


@pytest.mark.parametrize("package", LAYERS)
def test_imports_run_one_way(package):
    above = LAYERS[LAYERS.index(package) + 1 :]

    assert [(str(path), name) for path, name in files_and_imports(package) if name.split(".")[0] in above] == []


def test_the_model_and_its_training_know_no_pipeline_library():
    foreign = {"tfx", "apache_beam", "keras_tuner", "tensorflow_model_analysis", "ml_metadata", "tensorflow_datasets"}

    assert [(str(path), name) for path, name in files_and_imports("shiftvit") if name.split(".")[0] in foreign] == []


def test_tensorflow_addons_stays_behind_one_file_of_the_product():
    users = {
        str(path)
        for package in LAYERS
        for path, name in files_and_imports(package)
        if name.split(".")[0] == "tensorflow_addons"
    }

    assert users == {"shiftvit/optimizer.py", "benchmarks/keras_example.py"}  # the example's own stays as it is


def test_benchmarks_measure_the_model_alone():
    own = {name.split(".")[0] for _, name in files_and_imports("benchmarks")} & set(LAYERS)

    assert own == {"shiftvit", "benchmarks"}


def test_the_probe_of_the_canary_needs_tensorflow_alone():
    names = {name.split(".")[0] for name in imports(ROOT / "components/canary/probe.py")}

    assert names - set(sys.stdlib_module_names) == {"tensorflow"}


@pytest.mark.parametrize(
    "module", ["pipeline.cli", "pipeline.config", "pipeline.kubeflow.worker_job", "shiftvit.features"]
)
def test_the_command_line_starts_without_the_heavy_libraries(module):
    program = f"import sys, {module}; print(*[name for name in {HEAVY} if name in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)

    assert (loaded.returncode, loaded.stdout.strip()) == (0, ""), loaded.stderr
