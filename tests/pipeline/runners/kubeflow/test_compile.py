import json
import shutil
from pathlib import Path

import pytest
from added_node import add_weigh
from compiled import FULL, compile_small, compiled

import components
from pipeline.graph.fingerprint import graph_fingerprint
from pipeline.graph.nodes import Node
from pipeline.runners.kubeflow import compile, entrypoint
from pipeline.runners.kubeflow.refused import REFUSED
from shiftvit.config import ModelConfig
from shiftvit.errors import ConfigError


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("compiled"), *FULL)


@pytest.fixture(scope="module")
def containers(documents):
    executors = documents[0]["deploymentSpec"]["executors"]
    return {label.removesuffix("_executor"): executor["container"] for label, executor in executors.items()}


@pytest.fixture(scope="module")
def settings(documents):
    executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {label.removesuffix("_executor"): executor for label, executor in executors.items()}


def test_every_node_runs_our_entrypoint_in_the_image(documents, containers):
    assert containers.keys() == documents[0]["root"]["dag"]["tasks"].keys() and len(containers) == 12
    for name, container in containers.items():
        module = "refused" if name == REFUSED else "entrypoint"
        assert container["image"] == "registry/shiftvit:1"
        assert container["command"] == ["python", "-m", f"pipeline.runners.kubeflow.{module}"]


def test_the_last_step_runs_only_if_the_pusher_says_that_it_pushed_nothing(documents):
    spec, _ = documents

    assert spec["root"]["dag"]["tasks"][REFUSED]["triggerPolicy"] == {
        "condition": "inputs.parameter_values['pushed'] == false"
    }
    assert spec["components"][Node.PUSHER]["outputDefinitions"]["parameters"]["pushed"] == {"parameterType": "BOOLEAN"}


def test_every_executor_whose_parameters_the_entrypoint_converts_is_in_the_graph(containers):
    arguments = [container["args"] for name, container in containers.items() if name != REFUSED]
    executors = {each[each.index("--executor_class_path") + 1] for each in arguments}

    assert entrypoint.PREPARATIONS.keys() <= executors


def test_every_node_of_the_graph_compiles(tmp_path):
    spec, _ = compiled(tmp_path, "tune.trials=1", "lite.enabled=true")

    assert spec["root"]["dag"]["tasks"].keys() == {*Node, REFUSED}
    resources = spec["deploymentSpec"]["executors"]["LiteExport_executor"]["container"]["resources"]
    assert resources["resourceCpuLimit"] == "2"


def test_a_node_that_the_settings_do_not_know_compiles_with_default_resources(tmp_path, monkeypatch):
    add_weigh(monkeypatch)

    spec, platform = compiled(tmp_path)

    container = spec["deploymentSpec"]["executors"]["Weigh_executor"]["container"]
    assert (container["resources"]["resourceCpuLimit"], container["resources"]["resourceMemoryLimit"]) == ("1", "4Gi")
    assert "Weigh_executor" in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def test_a_run_has_the_parameters_data_epochs_and_push_destination_with_defaults(documents):
    assert documents[0]["root"]["inputDefinitions"]["parameters"] == {
        "data": {"parameterType": "STRING", "defaultValue": "shapes"},
        "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 7},
        "push_destination": {"parameterType": "STRING", "defaultValue": "/serving/shiftvit"},
    }


def test_the_evaluator_finds_its_extraction_in_the_image(documents):
    parameters = documents[0]["root"]["dag"]["tasks"]["Evaluator"]["inputs"]["parameters"]

    assert parameters["module_path"] == {"runtimeValue": {"constant": "components.evaluator.extraction"}}


def test_ingestion_gets_the_settings_of_the_source(tmp_path):
    spec, _ = compiled(tmp_path, "data.cifar100_labels=coarse")

    parameters = spec["root"]["dag"]["tasks"]["ImageExampleGen"]["inputs"]["parameters"]
    settings = json.loads(parameters["settings"]["runtimeValue"]["constant"])
    assert settings["data"]["cifar100_labels"] == "coarse"


def test_only_trainer_and_tuner_get_gpus_and_nodes_with_gpus(containers, settings):
    accelerators = {name: container["resources"].get("accelerator") for name, container in containers.items()}

    for name, count in (("Trainer", "4"), ("Tuner", "1")):
        assert accelerators.pop(name) == {
            "resourceType": "nvidia.com/gpu",
            "resourceCount": count,
            "type": "nvidia.com/gpu",
            "count": count,
        }
    assert set(accelerators.values()) == {None}
    on_gpus = {name for name, executor in settings.items() if executor["nodeSelector"]["labels"].get("card") == "h100"}
    assert on_gpus == {"Trainer", "Tuner"}
    tolerant = {name for name, executor in settings.items() if len(executor["tolerations"]) == 2}
    assert tolerant == {"Trainer", "Tuner"}


def test_a_step_has_its_resources_in_both_forms_of_kfp(containers):
    assert containers["Evaluator"]["resources"] == {
        "resourceCpuLimit": "1500m",
        "resourceCpuRequest": "1500m",
        "resourceMemoryLimit": "3Gi",
        "resourceMemoryRequest": "3Gi",
        "cpuLimit": 1.5,
        "cpuRequest": 1.5,
        "memoryLimit": 3 * 1024**3 / 1e9,
        "memoryRequest": 3 * 1024**3 / 1e9,
    }
    assert containers["Pusher"]["resources"]["resourceMemoryLimit"] == "2Gi"


def test_every_step_has_environment_secrets_volumes_and_placement(containers, settings):
    for name, container in containers.items():
        assert container["env"] == [{"name": "MODE", "value": "a=b"}, {"name": "LEVEL", "value": "2"}], name
    assert settings["Pusher"] == {
        "imagePullSecret": [{"secretName": "registry"}],
        "secretAsEnv": [{"secretName": "store", "keyToEnv": [{"secretKey": "key", "envVar": "TOKEN"}]}],
        "pvcMount": [{"constant": "models", "mountPath": "/serving"}, {"constant": "kept", "mountPath": "/state"}],
        "nodeSelector": {"labels": {"pool": "ml"}},
        "tolerations": [{"key": "team", "operator": "Equal", "value": "vision", "effect": "NoExecute"}],
    }
    assert settings["Trainer"]["tolerations"][1] == {
        "key": "nvidia.com/gpu",
        "operator": "Exists",
        "effect": "NoSchedule",
    }
    assert settings.keys() == containers.keys()


def test_the_file_does_not_depend_on_the_machine_that_compiled_it(tmp_path):
    text = compile_small(tmp_path / "p.yaml").read_text()

    assert str(Path(components.__file__).parents[1]) not in text
    assert str(tmp_path) not in text


def test_the_keys_of_the_file_are_sorted_because_protobufs_order_is_random(documents):
    def keys(value):
        if isinstance(value, dict):
            yield list(value)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from keys(item)

    assert all(names == sorted(names) for document in documents for names in keys(document))


def test_a_change_of_code_changes_the_cache_key_of_every_step(tmp_path, monkeypatch):
    def arguments():
        return {name: each["container"]["args"][-1] for name, each in executors(compiled(tmp_path)).items()}

    def executors(documents):
        return documents[0]["deploymentSpec"]["executors"]

    before, code = arguments(), graph_fingerprint()
    shutil.copytree(Path(components.__file__).parent, tmp_path / "components")
    (tmp_path / "components/data_gate/component.py").write_text("# another\n")
    monkeypatch.setattr(components, "__file__", str(tmp_path / "components/__init__.py"))

    assert set(before.values()) == {f"--code={code}"}
    assert set(arguments().values()) == {f"--code={graph_fingerprint()}"} != set(before.values())


def test_the_artifacts_go_to_the_pipeline_root(tmp_path):
    (spec, _), (default, _) = compiled(tmp_path, "kubeflow.pipeline_root=s3://bucket/runs"), compiled(tmp_path)

    assert spec["defaultPipelineRoot"] == "s3://bucket/runs"
    assert "defaultPipelineRoot" not in default


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("kubeflow.image=", r"kubeflow\.image is not set: --set kubeflow\.image=NAME .*`make image`"),
        (
            "kubeflow.push_destination=/models",
            r"=/models is on no volume \(mounted: /serving, /state\): --set kubeflow\.volumes=CLAIM:/PATH",
        ),
        ("kubeflow.push_destination=/servings/x", r"is on no volume"),
        ("kubeflow.volumes=kept:/state", r"push_destination=/serving/shiftvit is on no volume \(mounted: /state\)"),
        ("kubeflow.state=/elsewhere", r"kubeflow\.state=/elsewhere is on no volume"),
        ("source=/data/cifar.tar.gz", r"--data=/data/cifar\.tar\.gz is on no volume"),
        ("train.initial_weights=/w.npz", r"train\.initial_weights=/w\.npz is on no volume"),
    ],
)
def test_a_missing_setting_is_refused_before_anything_is_written(setting, sentence, tmp_path):
    with pytest.raises(ConfigError, match=sentence):
        compile_small(tmp_path / "p.yaml", setting)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model, patch", [({}, 4), ({"patch_size": 2}, 2), ({"image_size": 32}, 2)])
def test_initial_weights_are_compared_with_patches_that_the_data_may_choose(model, patch):
    for chosen in (ModelConfig(**model), ModelConfig(**model, stem="conv", shift_pixels=3)):
        assert compile._for_unknown_data(chosen).patch_size == patch


def test_a_beam_engine_that_cannot_access_the_artifacts_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"beam\.runner=spark: .*compile with --beam local"):
        compile_small(tmp_path / "p.yaml", "beam.runner=spark", "beam.address=h:1")


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=rf"{tmp_path}/no/p\.yaml: cannot write there \(No such file or directory\)"):
        compile_small(tmp_path / "no" / "p.yaml")
