"""What the process of a run checks before it runs the graph."""

import json

import pytest

from pipeline.config.overrides import override
from pipeline.config.presets import quickstart
from pipeline.runners.local import launch, process
from pipeline.runs import run_folder
from pipeline.runs.events import Events
from pipeline.sources.prepare import IDENTITY_FILE, prepare
from shiftvit.errors import ConfigError


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # the process sets it; monkeypatch restores it


def start(workspace, *settings, search_only=False):
    """Runs the process, in this one, on a source that does not exist; returns the exception and the events."""
    config = override(quickstart(), [f"workspace={workspace}", f"source={workspace / 'absent'}", *settings])
    folder, events = run_folder.create(config), []
    with pytest.raises(Exception) as ended:
        process.run(folder, Events(events.append), search_only)
    return ended.value, events


@pytest.mark.parametrize("search_only", [True, False])
def test_invalid_search_raises_before_data_is_read(tmp_path, search_only):
    error, events = start(tmp_path, "tune.space=nowhere.space", search_only=search_only)

    assert isinstance(error, ConfigError) and "tune.space=nowhere.space: cannot be imported" in str(error)
    assert events == []


def test_search_that_does_not_fit_the_data_raises_before_the_graph_starts(tmp_path):
    config = override(quickstart(), [f"workspace={tmp_path}", "shapes.train=10", "shapes.eval=10", "shapes.test=10"])
    identity = prepare(config).folder / IDENTITY_FILE
    identity.write_text(json.dumps(json.loads(identity.read_text()) | {"class_names": ["a", "b", "c"]}))
    folder = run_folder.create(override(config, ["tune.objective=val_top5", "train.batch_size=8"]))

    with pytest.raises(ConfigError, match=r"tune\.objective=val_top5 needs at least 6 classes, and the data has 3: .*"):
        process.run(folder, Events(lambda event: None), search_only=False)


def test_a_batch_that_the_training_split_does_not_fill_raises_before_the_graph_starts(tmp_path):
    settings = (f"workspace={tmp_path}", "source=shapes", "shapes.train=63", "shapes.eval=10", "shapes.test=10")
    folder = run_folder.create(override(quickstart(), settings))

    with pytest.raises(ConfigError, match=r"train\.batch_size=64 is more than the 63 images of the training split"):
        process.run(folder, Events(lambda event: None), search_only=False)


def test_search_settings_are_not_checked_without_a_search(tmp_path):
    error, events = start(tmp_path, "tune.space=nowhere.space", "tune.trials=0")

    assert "absent: no such file or folder" in str(error)
    assert [event["event"] for event in events] == ["plan", "node"]


def test_unusable_beam_engine_raises_before_data_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.runners.beam._SETUP", tmp_path / "setup.py")

    error, events = start(tmp_path, "beam.runner=spark", "beam.address=a:1", "tune.trials=0")

    assert isinstance(error, ConfigError) and "beam.runner=spark sends its workers this project" in str(error)
    assert events == []


def test_unreadable_configuration_is_one_error_message(tmp_path):
    folder = run_folder.create(override(quickstart(), [f"workspace={tmp_path}"]))
    folder.config.write_text("{")

    outcome = launch.execute(folder, lambda event: None, launch.CHILD)

    assert outcome.exit_code == ConfigError.exit_code
    assert outcome.message.startswith(f"{folder.config}: not a JSON configuration")
