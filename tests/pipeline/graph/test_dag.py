import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from google.protobuf import json_format
from tfx.dsl.compiler.compiler import Compiler
from tfx.proto.orchestration import pipeline_pb2

import shiftvit
from components.evaluator import extraction
from components.evaluator.eval_config import make_eval_config
from pipeline.config.overrides import override
from pipeline.config.presets import PRESETS, preset
from pipeline.config.settings import GateConfig
from pipeline.graph import dag
from pipeline.runners.local.runner import local_site
from pipeline.sources.prepare import Source
from shiftvit.config import to_dict
from shiftvit.features import CLASS_NAMES
from tuner import space

NODES = [
    "Cifar10ExampleGen",
    "StatisticsGen",
    "ImportSchemaGen",
    "ExampleValidator",
    "DataGate",
    "Tuner",
    "Trainer",
    "Baseline",
    "Evaluator",
    "Canary",
    "Pusher",
]


def compile_whole(folder: Path, config=None):
    """Returns the compiled graph."""
    config = override(config or preset("quickstart"), [f"workspace={folder}"])
    counts = {"train": 40, "eval": 10, "test": 10}
    source = Source("shapes", "shapes", "0" * 64, False, counts, CLASS_NAMES, folder / "sources" / "shapes-0")
    return Compiler().compile(dag.create_pipeline(config, source, local_site(config)))


def compile_graph(folder: Path, config=None):
    """Returns the compiled nodes of the graph by id, in order."""
    graph = compile_whole(folder, config)
    return {node.pipeline_node.node_info.id: node.pipeline_node for node in graph.nodes}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    return compile_graph(tmp_path_factory.mktemp("workspace"))


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


def test_it_has_every_component_in_an_order_that_runs(nodes):
    assert set(nodes) == set(NODES)
    order = list(nodes)
    for name in nodes:
        assert all(order.index(parent) < order.index(name) for parent in nodes[name].upstream_nodes)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_compiles_to_the_same_components_but_for_a_search_of_no_trials(name, tmp_path):
    chosen = preset(name)

    assert set(compile_graph(tmp_path, chosen)) == set(NODES) - ({"Tuner"} if chosen.tune.trials == 0 else set())


def test_without_a_search_the_trainer_takes_the_configuration_as_it_is(tmp_path):
    nodes = compile_graph(tmp_path, override(preset("quickstart"), ["tune.trials=0"]))

    assert "hyperparameters" not in nodes["Trainer"].inputs.inputs
    assert "DataGate" in nodes["Trainer"].upstream_nodes


def test_nothing_trains_or_is_pushed_before_the_data_passed_the_gate(nodes):
    assert {"StatisticsGen", "ImportSchemaGen", "ExampleValidator"} <= ancestors(nodes, "DataGate")
    for name in ("Tuner", "Trainer", "Evaluator", "Canary", "Pusher"):
        assert "DataGate" in ancestors(nodes, name)


def test_the_limits_of_the_data_are_those_of_the_configuration(tmp_path):
    config = override(preset("quickstart"), ["gate.max_duplicates=0.25"])

    parameters = compile_graph(tmp_path, config)["DataGate"].parameters.parameters

    told = {name: value.field_value.double_value for name, value in parameters.items()}
    assert told == asdict(GateConfig(max_duplicates=0.25))


def test_the_trainer_takes_the_best_hyperparameters_of_the_search(nodes):
    channels = nodes["Trainer"].inputs.inputs["hyperparameters"].channels

    assert [channel.producer_node_query.id for channel in channels] == ["Tuner"]


def test_a_model_is_pushed_only_with_both_blessings(nodes):
    asked = {
        key: [channel.producer_node_query.id for channel in value.channels]
        for key, value in nodes["Pusher"].inputs.inputs.items()
    }

    told_by_the_card = {"evaluation": ["Evaluator"], "model_run": ["Trainer"], "examples": ["Cifar10ExampleGen"]}
    blessings = {"model_blessing": ["Evaluator"], "infra_blessing": ["Canary"]}
    assert asked == {"model": ["Trainer"]} | blessings | told_by_the_card


def test_the_evaluator_corrupts_images_and_holds_the_model_to_the_bounds_of_the_configuration(tmp_path):
    config = override(preset("quickstart"), ["evaluate.max_ece=0.125", "canary.max_latency_ms=25"])

    nodes = compile_graph(tmp_path, config)

    assert parameter(nodes["Evaluator"], "module_path") == extraction.__name__
    wanted = make_eval_config(10, **asdict(config.evaluate))
    assert json_format.Parse(parameter(nodes["Evaluator"], "eval_config"), type(wanted)()) == wanted
    assert nodes["Canary"].parameters.parameters["max_latency_ms"].field_value.double_value == 25


def test_only_evaluator_and_canary_are_asked_for_the_test_split(nodes):
    """Tuner and Trainer read train and eval unless told otherwise; Canary's own code reads test, DataGate all.

    The Pusher looks at the properties of the examples alone, for the model card.
    """
    assert parameter(nodes["Evaluator"], "example_splits") == '["test"]'
    for name in ("Tuner", "Trainer"):
        assert parameter(nodes[name], "train_args") == parameter(nodes[name], "eval_args") == "{}"
    readers = {name for name, node in nodes.items() if "examples" in node.inputs.inputs}
    assert readers == {"StatisticsGen", "DataGate", "Tuner", "Trainer", "Evaluator", "Canary", "Pusher"}


def edit_a_copy(folder, file, monkeypatch):
    """Has the code in `folder`, where one file is another, be taken for ours."""
    shutil.copytree(Path(shiftvit.__file__).parent, folder / "shiftvit")
    (folder / "shiftvit" / file).write_text("# another\n")
    monkeypatch.setattr(shiftvit, "__file__", str(folder / "shiftvit" / "__init__.py"))


@pytest.mark.parametrize("file", ["augment.py", "schema.pbtxt"])
def test_what_runs_our_code_runs_again_when_a_file_changes(file, tmp_path, monkeypatch):
    before = executors(compile_whole(tmp_path))
    edit_a_copy(tmp_path, file, monkeypatch)

    after = executors(compile_whole(tmp_path))

    changed = {name for name in NODES if after.get(name) != before.get(name)}
    ours = {"Cifar10ExampleGen", "ImportSchemaGen", "DataGate", "Tuner", "Trainer", "Evaluator", "Canary", "Pusher"}
    assert ours <= changed


def custom_config(nodes, name):
    return json.loads(parameter(nodes[name], "custom_config"))


def test_the_search_is_told_its_budget_and_what_a_trial_trains(tmp_path):
    config = override(preset("quickstart"), ["tune.trials=7", "tune.epochs=3", "train.epochs=9"])

    told = custom_config(compile_graph(tmp_path, config), "Tuner")

    assert told["tune"] == to_dict(config.tune)
    assert told["experiment"]["train"]["epochs"] == 3, "the epochs of the training to come are nothing to the search"
    assert {g: told["experiment"][g] for g in ("model", "data")} == {
        g: to_dict(config.experiment)[g] for g in ("model", "data")
    }


def test_another_space_of_the_same_name_is_another_search(tmp_path, monkeypatch):
    def told():
        return custom_config(compile_graph(tmp_path), "Tuner")["space"]

    before = told()
    monkeypatch.setattr(space, "declare", lambda hp, experiment: hp.Float("train.learning_rate", 0.1, 0.2))

    assert told() != before


@pytest.mark.parametrize("name, executor", [("Tuner", "components.tuner.component"), ("Pusher", "components.pusher")])
def test_what_we_add_to_tfx_own_component_is_run_by_our_executor(name, executor, tmp_path):
    assert f"{executor}.Executor".encode() in executors(compile_whole(tmp_path))[name].value


def test_the_pusher_is_told_where_to_and_how_many_to_keep(tmp_path):
    pusher = compile_graph(tmp_path, override(preset("quickstart"), ["push.keep=7"]))["Pusher"]

    assert json.loads(parameter(pusher, "custom_config")) == {"keep": 7}
    destination = json.loads(parameter(pusher, "push_destination"))
    assert destination["filesystem"]["base_directory"] == str(tmp_path / "serving" / "shiftvit")


@pytest.mark.parametrize("name, folder", [("Tuner", "tuning"), ("Trainer", "training")])
def test_what_other_code_left_is_not_gone_on_with(name, folder, tmp_path, monkeypatch):
    before = Path(custom_config(compile_graph(tmp_path), name)["resume_root"])
    edit_a_copy(tmp_path, "augmentation.py", monkeypatch)

    after = Path(custom_config(compile_graph(tmp_path), name)["resume_root"])

    assert before.parent == after.parent == tmp_path / folder and before != after


def test_other_first_weights_are_another_search_and_another_training(tmp_path):
    """Of the same name: only what the file holds tells."""
    file, configs = tmp_path / "weights.npz", []
    for content in (b"first", b"second"):
        file.write_bytes(content)
        nodes = compile_graph(tmp_path, override(preset("quickstart"), [f"train.initial_weights={file}"]))
        configs.append({name: custom_config(nodes, name) for name in ("Tuner", "Trainer")})

    for name in ("Tuner", "Trainer"):
        assert configs[0][name]["resume_root"] != configs[1][name]["resume_root"]
