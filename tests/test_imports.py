import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each package or module may import itself and those before it. The longest matching name decides.
ORDER = (
    "shiftvit.errors",
    "charts",
    "shiftvit.files",
    "shiftvit",
    "benchmarks",
    "tuner",
    "components",
    "pipeline.config",
    "pipeline.sources",
    "pipeline.graph",
    "pipeline.runs",
    "pipeline.reports",
    "pipeline.runners",
    "pipeline.serving",
    "pipeline.cli",
)
# Programs that no module imports.
MEASURE_THE_PIPELINE = ("benchmarks.image_files", "benchmarks.ingestion", "benchmarks.serving")
HEAVY = ("tensorflow", "tfx", "apache_beam", "keras_tuner", "tensorflow_datasets")
OWN = {name.partition(".")[0] for name in ORDER}
# Packages with a limited set of libraries, the standard library and our own packages aside.
LIBRARIES = {
    "charts": set(),
    "shiftvit.files": {"tensorflow"},  # its errors may mean a full disk
    # torch reads official weights, if installed; google_crc32c computes the checksums of records
    "shiftvit": {"tensorflow", "tensorflow_addons", "numpy", "PIL", "torch", "google_crc32c"},
}


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def package_of(module):
    """Returns the longest name in ORDER that contains the module, or None."""
    names = [name for name in ORDER if module == name or module.startswith(f"{name}.")]
    return max(names, key=len, default=None)


def imports(path):
    """Yields the dotted name of every import in the file, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} line {node.lineno}: import by the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files():
    return [path for package in sorted(OWN) for path in sorted((ROOT / package).rglob("*.py"))]


def test_every_module_has_a_place_in_the_order():
    without_place = [module_of(path) for path in files() if package_of(module_of(path)) is None]

    assert without_place == ["pipeline"]


def test_imports_run_one_way():
    wrong = []
    for path in files():
        module = module_of(path)
        if module in MEASURE_THE_PIPELINE or package_of(module) is None:
            continue
        above = ORDER[ORDER.index(package_of(module)) + 1 :]
        wrong += [(module, name) for name in imports(path) if package_of(name) in above or name in MEASURE_THE_PIPELINE]

    assert wrong == []


@pytest.mark.parametrize("package", LIBRARIES)
def test_packages_import_only_their_libraries(package):
    known = OWN | LIBRARIES[package] | set(sys.stdlib_module_names)
    own = [path for path in files() if package_of(module_of(path)) == package]

    assert [(module_of(p), name) for p in own for name in imports(p) if name.partition(".")[0] not in known] == []


def test_charts_imports_no_other_package():
    own = {name.partition(".")[0] for path in (ROOT / "charts").rglob("*.py") for name in imports(path)} & OWN

    assert own <= {"charts"}


def test_one_product_file_imports_tensorflow_addons():
    users = {module_of(path) for path in files() for name in imports(path) if name.startswith("tensorflow_addons")}

    assert users == {"shiftvit.adamw_addons"}


def test_differences_between_the_stacks_have_known_places():
    users = {module_of(path) for path in files() for name in imports(path) if name.startswith("shiftvit.stack")}

    assert users == {
        "shiftvit",  # the environment variable that chooses Keras
        "shiftvit.optimizer",
        "components.lite.interpreter",
        "pipeline.serving.signature_defs",
        "pipeline.runs.workspace_stack",  # a workspace belongs to one stack
        "components.trainer.training",  # and so does the state of a training
        "components.tuner.component",  # and of a search
    }


def test_canary_probe_needs_only_tensorflow_and_its_numpy():
    names = {name.partition(".")[0] for name in imports(ROOT / "components/canary/probe.py")}

    assert names - set(sys.stdlib_module_names) == {"numpy", "tensorflow"}


@pytest.mark.parametrize(
    "module",
    [
        "pipeline.cli.main",
        "pipeline.config.settings",
        "pipeline.runners.kubeflow.worker_job",
        "shiftvit.features",
        "shiftvit.pixels",
    ],
)
def test_light_modules_load_no_heavy_library(module):
    program = f"import sys, {module}; print(*[name for name in {HEAVY} if name in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)

    assert (loaded.returncode, loaded.stdout.strip()) == (0, ""), loaded.stderr
