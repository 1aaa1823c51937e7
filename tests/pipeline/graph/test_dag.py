import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from google.protobuf import json_format
from known_data import CLASS_NAMES
from tfx.dsl.compiler.compiler import Compiler
from tfx.proto.orchestration import pipeline_pb2

import shiftvit
from components.evaluator import extraction
from components.evaluator.eval_config import make_eval_config
from components.example_gen.source_identity import SourceIdentity
from pipeline.config.overrides import override
from pipeline.config.presets import PRESETS, preset
from pipeline.config.settings import GateConfig
from pipeline.graph import dag
from pipeline.graph.nodes import Node
from pipeline.runners.local.runner import local_site
from pipeline.sources.prepare import Source
from shiftvit.config import to_dict
from tuner import space


def arguments(folder: Path, config=None):
    """Returns the arguments of create_pipeline."""
    config = override(config or preset("quickstart"), [f"workspace={folder}"])
    counts = {"train": 40, "eval": 10, "test": 10}
    source = Source(SourceIdentity("shapes", "0" * 64, False, counts, CLASS_NAMES, 32), folder / "sources" / "shapes-0")
    return config, source, local_site(config)


def compile_graph(folder: Path, config=None):
    """Returns the compiled graph."""
    return Compiler().compile(dag.create_pipeline(*arguments(folder, config)))


def compile_nodes(folder: Path, config=None):
    """Returns the compiled nodes of the graph by id, in order."""
    graph = compile_graph(folder, config)
    return {node.pipeline_node.node_info.id: node.pipeline_node for node in graph.nodes}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    return compile_nodes(tmp_path_factory.mktemp("workspace"))


def ancestors(nodes, name):
    above = set(nodes[name].upstream_nodes)
    return above.union(*(ancestors(nodes, parent) for parent in above))


def parameter(node, name):
    return node.parameters.parameters[name].field_value.string_value


def executors(graph):
    """Returns what each node executes, which is part of the key of TFX's cache, by id."""
    deployment = pipeline_pb2.IntermediateDeploymentConfig()
    graph.deployment_config.Unpack(deployment)
    return dict(deployment.executor_specs)


def test_nodes_are_those_of_the_enum_in_its_order(tmp_path):
    config = override(preset("quickstart"), ["tune.trials=1", "lite.enabled=true"])

    assert [node.id for node in dag.make_nodes(*arguments(tmp_path, config))] == list(Node)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_compiles_in_an_order_that_runs(name, tmp_path):
    config = preset(name)

    nodes = compile_nodes(tmp_path, config)

    disabled = {Node.TUNER: not config.tune.trials, Node.LITE_EXPORT: not config.lite.enabled}
    assert set(nodes) == {node.value for node in Node if not disabled.get(node)}
    order = list(nodes)
    for node_id in nodes:
        assert all(order.index(parent) < order.index(node_id) for parent in nodes[node_id].upstream_nodes)


def test_trainer_has_no_hyperparameters_without_a_search(tmp_path):
    nodes = compile_nodes(tmp_path, override(preset("quickstart"), ["tune.trials=0"]))

    assert "hyperparameters" not in nodes["Trainer"].inputs.inputs
    assert "DataGate" in nodes["Trainer"].upstream_nodes


def test_training_and_push_wait_for_data_gate(nodes):
    assert {"StatisticsGen", "DatasetSchema", "ExampleValidator"} <= ancestors(nodes, "DataGate")
    for name in ("Tuner", "Trainer", "Evaluator", "Canary", "Pusher"):
        assert "DataGate" in ancestors(nodes, name)


def test_data_gate_gets_its_limits_from_the_configuration(tmp_path):
    config = override(preset("quickstart"), ["gate.max_duplicates=0.25"])

    parameters = compile_nodes(tmp_path, config)["DataGate"].parameters.parameters

    limits = {name: value.field_value.double_value for name, value in parameters.items()}
    assert limits == asdict(GateConfig(max_duplicates=0.25))


def test_trainer_gets_the_best_hyperparameters_of_the_search(nodes):
    channels = nodes["Trainer"].inputs.inputs["hyperparameters"].channels

    assert [channel.producer_node_query.id for channel in channels] == ["Tuner"]


def test_pusher_needs_both_blessings(nodes):
    producers = {
        key: [channel.producer_node_query.id for channel in value.channels]
        for key, value in nodes["Pusher"].inputs.inputs.items()
    }

    card = {"evaluation": ["Evaluator"], "model_run": ["Trainer"], "examples": ["ImageExampleGen"]}
    blessings = {"model_blessing": ["Evaluator"], "infra_blessing": ["Canary"]}
    assert producers == {"model": ["Trainer"]} | blessings | card


def test_evaluator_and_canary_get_their_thresholds_from_the_configuration(tmp_path):
    config = override(preset("quickstart"), ["evaluate.max_ece=0.125", "canary.max_latency_ms=25"])

    nodes = compile_nodes(tmp_path, config)

    assert parameter(nodes["Evaluator"], "module_path") == extraction.__name__
    expected = make_eval_config(10, 10, **asdict(config.evaluate))
    assert json_format.Parse(parameter(nodes["Evaluator"], "eval_config"), type(expected)()) == expected
    assert nodes["Canary"].parameters.parameters["max_latency_ms"].field_value.double_value == 25


def test_only_evaluator_and_canary_read_the_test_split(nodes):
    """Tuner and Trainer read train and eval by default; the Canary reads test, DataGate all splits.

    DatasetSchema reads only the facts of the data, and the Pusher only the properties, for the model card.
    """
    assert parameter(nodes["Evaluator"], "example_splits") == '["test"]'
    for name in ("Tuner", "Trainer"):
        assert parameter(nodes[name], "train_args") == parameter(nodes[name], "eval_args") == "{}"
    readers = {name for name, node in nodes.items() if "examples" in node.inputs.inputs}
    assert readers == {
        "StatisticsGen",
        "DatasetSchema",
        "DataGate",
        "Tuner",
        "Trainer",
        "Evaluator",
        "Canary",
        "Pusher",
    }


def edit_a_copy(folder, file, monkeypatch):
    """Makes the fingerprint use a copy of the package in `folder`, with one file changed."""
    shutil.copytree(Path(shiftvit.__file__).parent, folder / "shiftvit")
    (folder / "shiftvit" / file).write_text("# another\n")
    monkeypatch.setattr(shiftvit, "__file__", str(folder / "shiftvit" / "__init__.py"))


@pytest.mark.parametrize("file", ["augment.py", "schema.pbtxt"])
def test_nodes_with_our_code_run_again_after_a_change(file, tmp_path, monkeypatch):
    before = executors(compile_graph(tmp_path))
    edit_a_copy(tmp_path, file, monkeypatch)

    after = executors(compile_graph(tmp_path))

    changed = {name for name in Node if after.get(name) != before.get(name)}
    ours = {"ImageExampleGen", "DatasetSchema", "DataGate", "Tuner", "Trainer", "Evaluator", "Canary", "Pusher"}
    assert ours <= changed


def custom_config(nodes, name):
    return json.loads(parameter(nodes[name], "custom_config"))


def test_tuner_gets_its_budget_and_the_experiment_of_a_trial(tmp_path):
    config = override(preset("quickstart"), ["tune.trials=7", "tune.epochs=3", "train.epochs=9"])

    config_of_tuner = custom_config(compile_nodes(tmp_path, config), "Tuner")

    assert config_of_tuner["tune"] == to_dict(config.tune)
    assert config_of_tuner["experiment"]["train"]["epochs"] == 3, "of a trial, not of the final training"
    assert {g: config_of_tuner["experiment"][g] for g in ("model", "data")} == {
        g: to_dict(config.experiment)[g] for g in ("model", "data")
    }


def test_changed_space_of_the_same_name_is_another_search(tmp_path, monkeypatch):
    def declared_space():
        return custom_config(compile_nodes(tmp_path), "Tuner")["space"]

    before = declared_space()
    monkeypatch.setattr(space, "declare", lambda hp, experiment: hp.Float("train.learning_rate", 0.1, 0.2))

    assert declared_space() != before


@pytest.mark.parametrize("name, executor", [("Tuner", "components.tuner.component"), ("Pusher", "components.pusher")])
def test_extended_tfx_components_run_our_executor(name, executor, tmp_path):
    assert f"{executor}.Executor".encode() in executors(compile_graph(tmp_path))[name].value


def test_pusher_gets_its_destination_and_number_of_versions(tmp_path):
    pusher = compile_nodes(tmp_path, override(preset("quickstart"), ["push.keep=7"]))["Pusher"]

    assert json.loads(parameter(pusher, "custom_config")) == {"keep": 7}
    destination = json.loads(parameter(pusher, "push_destination"))
    assert destination["filesystem"]["base_directory"] == str(tmp_path / "serving" / "shiftvit")


@pytest.mark.parametrize("name, folder", [("Tuner", "tuning"), ("Trainer", "training")])
def test_state_of_other_code_is_not_resumed(name, folder, tmp_path, monkeypatch):
    before = Path(custom_config(compile_nodes(tmp_path), name)["resume_root"])
    edit_a_copy(tmp_path, "augmentation.py", monkeypatch)

    after = Path(custom_config(compile_nodes(tmp_path), name)["resume_root"])

    assert before.parent == after.parent == tmp_path / folder and before != after


def test_other_initial_weights_are_another_search_and_training(tmp_path):
    """Even if the file has the same name."""
    file, configs = tmp_path / "weights.npz", []
    for content in (b"first", b"second"):
        file.write_bytes(content)
        nodes = compile_nodes(tmp_path, override(preset("quickstart"), [f"train.initial_weights={file}"]))
        configs.append({name: custom_config(nodes, name) for name in ("Tuner", "Trainer")})

    for name in ("Tuner", "Trainer"):
        assert configs[0][name]["resume_root"] != configs[1][name]["resume_root"]
