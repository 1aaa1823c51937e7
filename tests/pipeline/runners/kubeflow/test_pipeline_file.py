import pytest
import yaml
from compiled import compile_small
from refusal import refusal

from pipeline.runners.kubeflow.pipeline_file import load
from shiftvit.errors import ConfigError

PARAMETERS = {
    "data": {"parameterType": "STRING", "defaultValue": "shapes"},
    "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1},
    "rate": {"parameterType": "NUMBER_DOUBLE", "isOptional": True},
    "flip": {"parameterType": "BOOLEAN", "defaultValue": False},
    "dims": {"parameterType": "LIST", "defaultValue": []},
    "tune": {"parameterType": "STRUCT", "defaultValue": {}},
    "state": {"parameterType": "TASK_FINAL_STATUS", "isOptional": True},
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shiftvit.yaml"


def write(path, parameters, *more):
    spec = {"pipelineInfo": {"name": "shiftvit"}, "root": {"inputDefinitions": {"parameters": parameters}}}
    path.write_text(yaml.safe_dump_all([spec, *more]))
    return load(path)


def test_values_have_the_types_of_the_parameters(path):
    settings = ["data=a=b", "epochs=12", "rate=1e-3", "flip=true", "dims=[1, 2]", 'tune={"a": null}']

    values = write(path, PARAMETERS).read_parameters(settings)

    assert list(values.items()) == [
        ("data", "a=b"), ("epochs", 12), ("rate", 0.001), ("flip", True), ("dims", [1, 2]), ("tune", {"a": None}),
    ]  # fmt: skip
    assert [type(value) for value in values.values()] == [str, int, float, bool, list, dict]


@pytest.mark.parametrize(
    "setting",
    ["epochs=1.5", "epochs=", "rate=x", "rate=nan", "flip=yes", "dims=1,2", "dims={}", "tune=[1]", 'tune={"a": NaN}'],
)
def test_a_value_of_the_wrong_type_is_refused(path, setting):
    file = write(path, PARAMETERS)

    assert f"--set-parameter {setting}: expected" in refusal(ConfigError, file.read_parameters, [setting])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs=0", "train.epochs=0 must be from 1 to 1,000,000"),
        ("epochs=18446744073709551616", "train.epochs=18446744073709551616 must be from 1"),
        ("data=", "source='' names no data"),
        ("data=folder:", "source='folder:' names no data"),
        ("push_destination=models", "kubeflow.push_destination: 'models' is not the absolute path"),
        ("push_destination=/serving/../etc", "kubeflow.push_destination: '/serving/../etc' is not the absolute path"),
    ],
)
def test_a_parameter_obeys_the_rules_of_the_setting_that_it_stands_for(path, setting, message):
    file = write(path, PARAMETERS | {"push_destination": {"parameterType": "STRING", "defaultValue": "/serving"}})

    assert f"--set-parameter {setting}: {message}" in refusal(ConfigError, file.read_parameters, [setting])


def test_a_path_in_a_parameter_is_on_a_volume(tmp_path):
    file = load(compile_small(tmp_path / "p.yaml"))

    assert file.read_parameters(["push_destination=/state/models"]) == {"push_destination": "/state/models"}
    message = refusal(ConfigError, file.read_parameters, ["push_destination=/elsewhere"])
    assert "--set-parameter push_destination=/elsewhere is on no volume (mounted: /se" in message
    for data in ("shapes", "tfds", "folder:/state/photos"):
        file.check_data(file.read_parameters([f"data={data}"]))
    assert "--set-parameter data=/photos is on no volume" in refusal(
        ConfigError, file.check_data, file.read_parameters(["data=folder:/photos"])
    )


def test_a_parameter_that_the_command_line_cannot_set_is_refused(path):
    assert "--set-parameter state" in refusal(ConfigError, write(path, PARAMETERS).read_parameters, ["state=x"])


def test_an_unknown_parameter_is_refused_with_the_nearest_ones(path):
    read = write(path, PARAMETERS).read_parameters

    assert f"{path}: has no parameter epoch; did you mean epochs?" in refusal(ConfigError, read, ["epoch=1"])
    assert "--set-parameter epochs: expected NAME=VALUE" in refusal(ConfigError, read, ["epochs"])


def test_a_parameter_without_default_is_required(path):
    file = write(path, PARAMETERS | {"epochs": {"parameterType": "NUMBER_INTEGER"}})

    assert "--set-parameter epochs=VALUE" in refusal(ConfigError, file.read_parameters, ["data=x"])
    assert file.read_parameters(["epochs=2"]) == {"epochs": 2}


def test_a_document_for_the_platform_may_follow(path):
    file = write(path, PARAMETERS, {"platforms": {"kubernetes": {}}})

    assert (file.name, file.content) == ("shiftvit", path.read_bytes())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: [1", "not YAML (line 1)"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b"", "not a compiled pipeline"),
        (b"kind: Workflow\n", "not a compiled pipeline"),
        (b"pipelineInfo: {name: 1}\nroot: {}\n", "not a compiled pipeline"),
        (b"pipelineInfo: {name: x}\nroot: {}\n---\nother: {}\n", "not a compiled pipeline"),
    ],
)
def test_a_file_that_is_not_a_compiled_pipeline_is_refused(path, content, expected):
    path.write_bytes(content)

    message = refusal(ConfigError, load, path)

    assert message.startswith(f"{path}: ") and expected in message


def test_a_missing_file_is_refused(path):
    assert refusal(ConfigError, load, path) == f"{path}: cannot read the compiled pipeline (No such file or directory)"
