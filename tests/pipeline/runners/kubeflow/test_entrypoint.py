import dataclasses
import json

import pytest
from cifar100_files import COARSE_NAMES, make_cifar100_python
from compiled import compiled
from google.protobuf import json_format

from components import refusal
from components.trainer.config import TrainerConfig
from components.tuner.config import TunerConfig
from pipeline.config.settings import PipelineConfig, ShapesConfig
from pipeline.graph.fingerprint import graph_fingerprint
from pipeline.runners.kubeflow import entrypoint
from pipeline.sources.prepare import prepare
from shiftvit.config import ExperimentConfig, TrainConfig, to_dict
from shiftvit.errors import ConfigError, DataError
from shiftvit.files import paths

INGEST = "components.example_gen.component.ImageExampleGen_Executor"
TUNE = "components.tuner.component.Executor"
TRAIN = "tfx.components.trainer.executor.GenericExecutor"
EVALUATE = "components.plain_uris.EvaluatorExecutor"
BASELINE = "components.baseline.PushedBaseline_Executor"
PUSH = "components.pusher.Executor"
MODEL = {"instanceSchema": "title: tfx.Model\ntype: object\n"}
CONFIG = PipelineConfig(shapes=ShapesConfig(train=20, eval=10, test=10))


def one(uri, **more):
    return {"artifacts": [{"name": "7", "uri": uri, **more}]}


def repaired(root, inputs=None, outputs=None):
    executor_input = {
        "inputs": {"parameterValues": {"images": 3.0}, "artifacts": inputs or {}},
        "outputs": {"artifacts": outputs or {}, "outputFile": "/out"},
    }
    spec = {"artifacts": {name: {"artifactType": MODEL} for name in inputs or {}}}
    return entrypoint.repair_input(executor_input, spec, str(root))


@pytest.fixture(autouse=True)
def no_copies(monkeypatch):
    monkeypatch.setattr(paths, "_addresses", {})


@pytest.mark.parametrize(
    ("remote", "local"), [("minio://b/k/m", "/minio/b/k/m"), ("s3://b/k", "/s3/b/k"), ("gs://b/k", "/gcs/b/k")]
)
def test_an_input_gets_the_path_of_the_launchers_copy_and_its_type(remote, local):
    read = repaired("/root", {"model": one(remote, metadata={"blessed": 1.0})})["inputs"]

    assert read["artifacts"]["model"] == one("/root" + local, metadata={"blessed": 1.0}, type=MODEL)
    assert read["parameterValues"] == {"images": 3.0}


def test_an_output_gets_a_local_path_and_the_log_is_left_to_the_launcher():
    outputs = {
        "model": one("minio://b/m", type=MODEL),
        "executor-logs": one("x", type={"schemaTitle": "system.Artifact"}),
    }

    written = repaired("/root", outputs=outputs)["outputs"]

    assert written == {"artifacts": {"model": one("/root/minio/b/m", type=MODEL)}, "outputFile": "/out"}


def test_an_empty_baseline_is_not_passed_on(tmp_path):
    inputs = {"baseline_model": one("minio://b/baseline"), "model": one("minio://b/model")}
    folder = tmp_path / "minio/b/baseline"

    assert list(repaired(tmp_path, inputs)["inputs"]["artifacts"]) == ["model"]
    (folder / "Format-Serving").mkdir(parents=True)
    assert list(repaired(tmp_path, inputs)["inputs"]["artifacts"]) == ["model"]
    (folder / "Format-Serving/saved_model.pb").touch()
    assert list(repaired(tmp_path, inputs)["inputs"]["artifacts"]) == ["baseline_model", "model"]


def test_the_reported_output_has_remote_uris_and_no_null():
    metadata = {"of": "/root/s3/b/m", "pushed_destination": "/models/1", "blessed": 1.0, "nothing": None}
    entrypoint.register_copies("/root")

    reported = entrypoint.repair_output({"artifacts": {"blessing": one("/root/minio/b/x", metadata=metadata)}})

    kept = {"of": "s3://b/m", "pushed_destination": "/models/1", "blessed": 1.0}
    assert reported == {"artifacts": {"blessing": one("minio://b/x", metadata=kept)}}


def test_files_that_outlive_the_step_name_objects(tmp_path):
    """Of any output, and of a pushed version: not a path of the container, which is gone with it."""
    entrypoint.register_copies(str(tmp_path))
    evaluation = tmp_path / "minio/b/evaluation"
    evaluation.mkdir(parents=True)
    (evaluation / "damaged.json").write_text("{")
    settings = {"model": {"candidate": f"{tmp_path}/s3/b/model"}, "files": [f"{tmp_path}/minio/b/x/*", 7, "top-1"]}
    (evaluation / "eval_config.json").write_text(json.dumps(settings))

    entrypoint.name_objects(evaluation)

    assert json.loads((evaluation / "eval_config.json").read_text()) == {
        "model": {"candidate": "s3://b/model"},
        "files": ["minio://b/x/*", 7, "top-1"],
    }
    assert paths.relative(f"{tmp_path}/minio/b/model", tmp_path / "serving") == "minio://b/model"


def prepared(executor, folder, parameters, examples=None):
    """Returns the parameters that the executor receives."""
    entrypoint.PREPARATIONS[executor](parameters, examples or {}, folder)
    return parameters


def ingest_parameters(**changes):
    return {"settings": json.dumps({"shapes": to_dict(CONFIG.shapes)}), "data": "shapes"} | changes


def test_ingestion_prepares_the_source_of_the_run(tmp_path):
    there = prepare(dataclasses.replace(CONFIG, workspace=str(tmp_path / "there")))

    parameters = prepared(INGEST, tmp_path / "here", ingest_parameters(images_per_shard=5.0))

    assert parameters.keys() == {"identity", "image_folder", "input_base", "images_per_shard"}
    assert parameters["identity"] == there.identity.to_json()
    made = tmp_path / "here/sources" / there.folder.name / "test.bin"
    assert parameters["input_base"] == str(made.parent)
    assert made.read_bytes() == (there.folder / "test.bin").read_bytes()


def test_ingestion_reads_the_labels_that_the_pipeline_was_compiled_with(tmp_path):
    folder = make_cifar100_python(tmp_path / "data")
    settings = json.dumps({"data": {"cifar100_labels": "coarse"}})

    parameters = prepared(INGEST, tmp_path / "here", ingest_parameters(data=str(folder), settings=settings))

    assert json.loads(parameters["identity"])["class_names"] == list(COARSE_NAMES)


def run_bad_data(folder, code):
    executor_input = {
        "inputs": {"parameterValues": ingest_parameters(data=str(folder / "missing"))},
        "outputs": {"outputFile": str(folder / "out")},
    }
    arguments = ["--executor_class_path", INGEST, "--json_serialized_inputs_spec_args", "{}", "--runner=FnApiRunner"]
    return entrypoint.main(
        [*arguments, "--json_serialized_invocation_args", json.dumps(executor_input), "--code", code]
    )


def test_bad_data_ends_the_step_with_one_message_and_its_exit_code(tmp_path, capfd):
    assert run_bad_data(tmp_path, graph_fingerprint()) == DataError.exit_code

    (message,) = capfd.readouterr().err.splitlines()
    assert message.startswith(
        f"shiftvit: parameter data={tmp_path}/missing: {tmp_path}/missing: no such file or folder"
    )
    assert "--data" not in message


def test_an_image_with_other_code_than_the_compiler_runs_nothing(tmp_path, capfd):
    assert run_bad_data(tmp_path, "0123456789abcdef") == ConfigError.exit_code

    (message,) = capfd.readouterr().err.splitlines()
    assert f"the image ({graph_fingerprint()}) differs from the code that compiled the pipeline (0123456789" in message


EXAMPLES = {"count_test": 50.0, "class_names": json.dumps(list("abcdefg"))}


def train_parameters(epochs):
    experiment = ExperimentConfig(CONFIG.model, CONFIG.data, TrainConfig(epochs=12))
    config = TrainerConfig(experiment, "/state/training/code")
    return {"epochs": epochs, "custom_config": json.dumps(to_dict(config)), "run_fn": "f"}


def test_training_gets_the_epochs_of_the_run(tmp_path):
    parameters = prepared(TRAIN, tmp_path, train_parameters(3.0), EXAMPLES)

    assert parameters.keys() == {"custom_config", "run_fn"}
    before, after = (json.loads(config["custom_config"]) for config in (train_parameters(0), parameters))
    before["experiment"]["train"]["epochs"] = 3
    assert after == before
    assert isinstance(after["experiment"]["train"]["epochs"], int)


def test_evaluation_gets_the_number_of_test_images_and_of_classes(tmp_path):
    from components.evaluator.eval_config import make_eval_config

    parameters = prepared(
        EVALUATE, tmp_path, {"settings": json.dumps({"evaluate": to_dict(CONFIG.evaluate)})}, EXAMPLES
    )

    wanted = make_eval_config(50, 7, **dataclasses.asdict(CONFIG.evaluate))
    assert parameters.keys() == {"eval_config"}
    assert json_format.Parse(parameters["eval_config"], type(wanted)()) == wanted


@pytest.mark.parametrize(("epochs", "shown"), [(1.5, r"1\.5"), (0.0, "0")])
def test_epochs_are_blamed_by_the_parameters_name(epochs, shown, tmp_path):
    with pytest.raises(ConfigError, match=f"^parameter epochs={shown} must be a whole number of at least 1$"):
        prepared(TRAIN, tmp_path, train_parameters(epochs), EXAMPLES)


@pytest.mark.parametrize("root", ["", "/rehearsed"])
def test_paths_on_a_volume_are_found_where_the_volume_is_mounted(root, tmp_path, monkeypatch):
    monkeypatch.setenv(entrypoint.LOCAL_ROOT, root)
    search = TunerConfig(CONFIG.tune, CONFIG.experiment, "", "", "/state/tuning/code")
    state = {"custom_config": json.dumps(to_dict(search))}

    pushed = prepared(PUSH, tmp_path, {"push_destination": "/models"})
    trained = prepared(TRAIN, tmp_path, train_parameters(1.0), EXAMPLES)

    assert json.loads(pushed["push_destination"]) == {"filesystem": {"base_directory": f"{root}/models"}}
    assert prepared(BASELINE, tmp_path, {"push_destination": "/models"}) == {"push_destination": f"{root}/models"}
    assert json.loads(prepared(TUNE, tmp_path, state)["custom_config"])["resume_root"] == f"{root}/state/tuning/code"
    assert json.loads(trained["custom_config"])["resume_root"] == f"{root}/state/training/code"


def conclude(monkeypatch, **pushed):
    """Runs the end of a Pusher's step; returns its output parameters."""
    monkeypatch.setattr(refusal, "reasons", lambda *facts: [f"top-1 of {facts} is below 90%"])
    inputs = {"evaluation": one("e"), "infra_blessing": one("i"), "examples": one("x", metadata=EXAMPLES)}
    reported = {"artifacts": {"pushed_model": one("minio://b/p", metadata=pushed)}}
    return entrypoint._conclude({"inputs": {"artifacts": inputs}}, reported)


def test_the_log_of_a_refused_models_step_ends_as_the_terminal_does(monkeypatch, capsys):
    told = conclude(monkeypatch, pushed=0)

    sentence = f"not pushed: top-1 of ('e', 'i', {tuple('abcdefg')}) is below 90%"
    assert told == {"pushed": False, "conclusion": sentence}
    assert capsys.readouterr().err == f"shiftvit: {sentence}\n"


def test_the_log_of_a_pushed_models_step_ends_as_the_terminal_does(monkeypatch, capsys):
    monkeypatch.setattr("components.evaluator.results.read_metrics", lambda *_: {"top1": 0.931})

    told = conclude(monkeypatch, pushed=1, pushed_version="5", pushed_destination="/models/5")

    sentence = "Pushed version 5 to /models: top-1 93.1% on the test split."
    assert told == {"pushed": True, "conclusion": sentence}
    assert capsys.readouterr().err == f"shiftvit: {sentence}\n"


@pytest.mark.slow
def test_a_step_writes_to_the_launchers_copy_and_reports_the_remote_uri(tmp_path, monkeypatch):
    monkeypatch.setenv(entrypoint.LOCAL_ROOT, str(tmp_path))
    report = tmp_path / "report.json"
    outputs = {
        "model": one("minio://b/m", type=MODEL),
        "executor-logs": one("x", type={"schemaTitle": "system.Artifact"}),
    }
    executor_input = {
        "inputs": {"parameterValues": {"text": "abc"}},
        "outputs": {"artifacts": outputs, "outputFile": str(report)},
    }
    spec = {"parameters": {"text": {"parameterType": "STRING"}}}
    arguments = [
        "--executor_class_path",
        "write_file.WriteFile",
        "--json_serialized_inputs_spec_args",
        json.dumps(spec),
    ]
    arguments += ["--code", graph_fingerprint()]

    assert entrypoint.main([*arguments, "--json_serialized_invocation_args", json.dumps(executor_input)]) == 0

    assert (tmp_path / "minio/b/m/weights").read_text() == "abc"
    (artifact,) = json.loads(report.read_text())["artifacts"]["model"]["artifacts"]
    assert artifact["uri"] == artifact["metadata"]["made_in"] == "minio://b/m"


@pytest.mark.slow
def test_every_preparation_is_for_an_executor_of_the_graph(tmp_path):
    spec, _ = compiled(tmp_path, "tune.trials=1")
    arguments = [executor["container"]["args"] for executor in spec["deploymentSpec"]["executors"].values()]
    named = [each[each.index("--executor_class_path") + 1] for each in arguments if "--executor_class_path" in each]

    assert entrypoint.PREPARATIONS.keys() <= set(named)
