import json
import os
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest
from executions import artifact, context
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from components import pusher, serving_folder
from components.example_gen.source_identity import PROPERTIES
from components.pusher import Executor, Pusher
from components.serving_folder import ALREADY_PUSHED
from shiftvit.config import ExperimentConfig, to_dict
from shiftvit.errors import DataError, DiskFullError


@pytest.fixture
def model(tmp_path):
    """A Model artifact."""
    folder = tmp_path / "model"
    (folder / "Format-Serving").mkdir(parents=True)
    (folder / "Format-Serving" / "saved_model.pb").write_text("the model")
    return artifact(standard_artifacts.Model, folder)


@pytest.fixture
def card_inputs(tmp_path, monkeypatch):
    """Inputs of the model card, with metrics in place of TFMA's files."""
    monkeypatch.setattr(pusher, "read_metrics", lambda uri, num_classes: METRICS)
    evaluation = artifact(standard_artifacts.ModelEvaluation, tmp_path / "evaluation")
    run = artifact(standard_artifacts.ModelRun, tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.json").write_text(json.dumps(to_dict(ExperimentConfig())))
    examples = artifact(standard_artifacts.Examples, tmp_path / "examples")
    for name in PROPERTIES:
        set_property = examples.set_int_custom_property if name in COUNTS else examples.set_string_custom_property
        set_property(name, COUNTS.get(name, "[]"))
    return {"evaluation": [evaluation], "model_run": [run], "examples": [examples]}


METRICS = {
    "top1": 0.9,
    "loss": 0.5,
    "ece": 0.1,
    "macro_f1": 0.8,
    "examples": 100,
    "class_top1": [],
    "confusion": [],
    "corrupted_top1": {},
}
COUNTS = {"source_published": 0, "image_size": 32, "count_train": 40, "count_eval": 10, "count_test": 100}


def push(folder, model, blessed=True, base=None, keep=2, inputs=None):
    """Runs the executor; returns the PushedModel artifact."""
    blessing = artifact(standard_artifacts.ModelBlessing, folder / "blessing")
    blessing.set_int_custom_property("blessed", int(blessed))
    pushed = artifact(standard_artifacts.PushedModel, folder / "pushed")
    destination = {"filesystem": {"base_directory": base or str(folder / "serving")}}
    Executor(context(folder)).Do(
        {"model": [model], "model_blessing": [blessing]} | (inputs or {}),
        {"pushed_model": [pushed]},
        {"push_destination": json.dumps(destination), "custom_config": json.dumps({"keep": keep})},
    )
    return pushed


def test_blessed_model_is_archived_and_served(tmp_path, model):
    pushed = push(tmp_path, model)

    [number] = serving_folder.numbers(tmp_path / "serving")
    version = tmp_path / "serving" / str(number)
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == str(number)
    assert pushed.get_string_custom_property("pushed_destination") == str(version)
    assert (tmp_path / "pushed" / "saved_model.pb").read_text() == "the model"
    assert (version / "saved_model.pb").read_text() == "the model"
    assert serving_folder.read_origin(version) == serving_folder.Origin(model="../model", keep=2)


def test_unblessed_model_is_neither_archived_nor_served(tmp_path, model):
    pushed = push(tmp_path, model, blessed=False)

    assert pushed.get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists() and not (tmp_path / "pushed").exists()


def test_pushes_in_the_same_second_get_different_versions(tmp_path, model, monkeypatch):
    monkeypatch.setattr(pusher.time, "time", lambda: 1000.9)
    for content in "abc":
        (tmp_path / "model" / "Format-Serving" / "saved_model.pb").write_text(content)
        push(tmp_path, model)

    assert serving_folder.numbers(tmp_path / "serving") == [1002, 1001]
    assert (tmp_path / "serving" / "1002" / "saved_model.pb").read_text() == "c"


def test_push_on_a_full_disk_leaves_no_version(small_disk, model):
    (Path(model.uri) / "Format-Serving" / "weights").write_bytes(bytes(2_000_000))
    message = small_disk.refusal("the pushed model and its archived copy")
    with small_disk.filled(left=3_000_000), pytest.raises(DiskFullError, match=message):
        push(small_disk.folder, model)

    assert small_disk.files() == []
    push(small_disk.folder, model)
    assert len(serving_folder.numbers(small_disk.folder / "serving")) == 1


def test_repeated_push_returns_the_existing_version(tmp_path, model):
    first, second = push(tmp_path, model), push(tmp_path, model)

    assert [pushed.get_int_custom_property(ALREADY_PUSHED) for pushed in (first, second)] == [0, 1]
    assert first.get_string_custom_property("pushed_version") == second.get_string_custom_property("pushed_version")


def test_push_to_a_remote_destination_works_as_in_tfx(tmp_path, model):
    """With TensorFlow's in-memory file system as the remote one."""
    pushed = push(tmp_path, model, base="ram://serving")

    destination = pushed.get_string_custom_property("pushed_destination")
    assert destination.startswith("ram://serving/")
    with tfx.dsl.io.fileio.open(os.path.join(destination, "saved_model.pb")) as file:
        assert file.read() == "the model"
    assert not list(tmp_path.glob("*ram*"))


def test_version_and_archived_copy_have_a_model_card(tmp_path, model, card_inputs):
    pushed = push(tmp_path, model, inputs=card_inputs)

    version = tmp_path / "serving" / pushed.get_string_custom_property("pushed_version")
    card = (version / "assets.extra" / "model_card.md").read_text()
    assert "| all | 100 | 90.0% |" in card and "learning_rate=0.001" in card
    assert (tmp_path / "pushed" / "assets.extra" / "model_card.md").read_text() == card


def test_an_evaluation_that_lost_test_images_pushes_nothing(tmp_path, model, card_inputs, monkeypatch):
    monkeypatch.setitem(METRICS, "examples", 99)

    with pytest.raises(DataError, match="the Evaluator measured 99 of the 100 test images"):
        push(tmp_path, model, inputs=card_inputs)
    assert not (tmp_path / "serving").exists()


def test_version_has_no_card_without_all_its_inputs(tmp_path, model, card_inputs):
    del card_inputs["evaluation"]
    pushed = push(tmp_path, model, inputs=card_inputs)

    version = tmp_path / "serving" / pushed.get_string_custom_property("pushed_version")
    assert [path.name for path in (version / "assets.extra").iterdir()] == ["origin.json"]


def test_changed_card_is_not_a_new_model(tmp_path, model, card_inputs, monkeypatch):
    push(tmp_path, model, inputs=card_inputs)
    monkeypatch.setattr(pusher, "read_metrics", lambda uri, num_classes: METRICS | {"loss": 0.75})

    assert push(tmp_path, model, inputs=card_inputs).get_int_custom_property(ALREADY_PUSHED) == 1


def test_version_at_a_remote_destination_has_a_card(tmp_path, model, card_inputs):
    pushed = push(tmp_path, model, base="ram://cards", inputs=card_inputs)

    destination = pushed.get_string_custom_property("pushed_destination")
    with tfx.dsl.io.fileio.open(os.path.join(destination, "assets.extra", "model_card.md")) as file:
        assert "| all | 100 | 90.0% |" in file.read()


def run_pipeline(workspace, killed):
    """Pushes the Model in the workspace with a graph; `killed` kills the process right after the version appears."""
    importer = tfx.dsl.Importer(str(workspace / "model"), standard_artifacts.Model).with_id("model")
    pushing = Pusher(
        importer.outputs["result"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(workspace / "serving"))
        ),
        keep=2,
    )
    metadata = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(workspace / "metadata.sqlite"))
    if killed:
        publish = serving_folder.publish
        serving_folder.publish = lambda *args, **more: (publish(*args, **more), os.kill(os.getpid(), signal.SIGKILL))
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            "pushing",
            str(workspace / "artifacts"),
            components=[importer, pushing],
            metadata_connection_config=metadata,
        )
    )


def test_push_killed_before_it_was_recorded_is_not_repeated(tmp_path, model):
    process = get_context("fork").Process(target=run_pipeline, args=(tmp_path, True))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    [number] = serving_folder.numbers(tmp_path / "serving")

    run_pipeline(tmp_path, killed=False)

    assert serving_folder.numbers(tmp_path / "serving") == [number]
