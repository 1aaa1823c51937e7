"""What can be known before a run is checked before it, by every command that runs, trains, searches or compiles."""

import pytest
from refusal import refusal

from pipeline.cli.main import main
from pipeline.config.overrides import override
from pipeline.config.presets import preset
from pipeline.runners import preflight
from shiftvit.errors import ConfigError
from shiftvit.ranges import MAX_SEED

CLUSTER = ["kubeflow.image=registry/shiftvit:1", "kubeflow.volumes=models:/serving,data:/data", "beam.runner=local"]
FOLDERS = ["--records", "/data/records", "--model", "/data/model", "--state", "/data/state"]
COMMANDS = {
    "run": [],
    "tune": [],
    "train": FOLDERS,
    "kubeflow compile": ["--output", "out.yaml"],
    "kubeflow worker-job": ["--output", "out.yaml", "--workers", "2", *FOLDERS],
}
BAD = {  # settings that each command refuses, with the one that the message must name
    "train.seed": [f"train.seed={MAX_SEED + 1}"],
    "train.learning_rate": ["train.learning_rate=1e10"],
    "train.steps_per_execution": ["train.steps_per_execution=4", "train.replicas=2"],
    "train.batch_size": ["train.batch_size=9", "train.replicas=2"],
    "model.patch_size": ["model.patch_size=5", "data.image_size=64"],
    "data.crop_padding": ["data.image_size=16", "data.crop_padding=16"],
    "tune.objective": ["tune.objective=val_top2"],
    "evaluate.min_top1": ["evaluate.min_top1=90"],
    "canary.timeout": ["canary.timeout=0"],
    "beam.address": ["beam.runner=flink"],
    "workspace": ["workspace="],
    "kubeflow.image": ["kubeflow.image=My Image"],
    "kubeflow.steps.trainer.cpu": ["kubeflow.steps.trainer.cpu=lots"],
    "preset": ["preset=nothing"],
}
BAD_FOR_A_RUN = {  # on the embedded data, of 8,000 images of 32 pixels
    "data.crop_padding": ["data.crop_padding=32"],
    "model.num_classes": ["model.num_classes=1000"],
    "model.patch_size": ["model.patch_size=5"],
    "train.batch_size=9000": ["train.batch_size=9000"],
    "train.batch_size=9001": ["train.batch_size=9001", "train.steps_per_epoch=1", "tune.trials=1"],
}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.runners.local.launch.execute", lambda *_: pytest.fail("the run started"))


def arguments(command, settings):
    options = [text for setting in [*CLUSTER, *settings] for text in ("--set", setting)]
    return [*command.split(), *COMMANDS[command], *options]


def assert_refused(command, settings, key, tmp_path, capsys):
    assert main(arguments(command, settings)) == ConfigError.exit_code
    message = capsys.readouterr().err
    assert message.startswith("shiftvit: ") and key in message and message.count("\n") == 1
    assert list(tmp_path.iterdir()) == [], "something was written"


@pytest.mark.parametrize("key", BAD)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_settings_that_cannot_work(command, key, tmp_path, capsys):
    assert_refused(command, BAD[key], key, tmp_path, capsys)


@pytest.mark.parametrize("key", BAD_FOR_A_RUN)
@pytest.mark.parametrize("command", ["run", "tune", "kubeflow compile"])
def test_what_does_not_fit_a_known_data_set_is_refused_before_it_is_made(command, key, tmp_path, capsys):
    assert_refused(command, BAD_FOR_A_RUN[key], key, tmp_path, capsys)


@pytest.mark.parametrize("command", ["run", "kubeflow compile"])
def test_what_does_not_fit_the_size_of_image_files_is_refused_before_they_are_listed(command, tmp_path, capsys):
    settings = ["source=folder:/data/photos", "model.patch_size=5"]
    message = "model.patch_size=5 does not divide images of 64 pixels"
    assert_refused(command, settings, message, tmp_path, capsys)


@pytest.mark.parametrize("command", ["run", "train"])
def test_weights_that_are_not_there_are_refused_before_anything_is_written(command, tmp_path, capsys):
    assert_refused(command, ["train.initial_weights=absent.npz"], "train.initial_weights=", tmp_path, capsys)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["train.batch_size=9"], "train.batch_size=9 is not divisible by 4"),
        (["train.replicas=8"], "train.replicas=8 is more than kubeflow.steps.trainer.gpus gives a training: 4"),
        (["train.steps_per_execution=2"], "train.steps_per_execution=2 needs a single device"),
        (["tune.trials=1", "tune.workers=3"], "tune.workers=3 is more than kubeflow.steps.tuner.gpus=2"),
    ],
)
def test_the_gpus_of_a_step_fit_its_training(settings, message, tmp_path, capsys):
    gpus = ["kubeflow.steps.trainer.gpus=4", "kubeflow.steps.tuner.gpus=2"]
    assert_refused("kubeflow compile", [*gpus, *settings], message, tmp_path, capsys)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--direct_num_workers=abc", "beam.options: argument --direct_num_workers: invalid int value: 'abc'"),
        ("--direct_running_mode=turbo", "beam.options: argument --direct_running_mode: invalid choice: 'turbo'"),
    ],
)
def test_a_value_that_beam_cannot_read_is_refused(flag, message, tmp_path, capsys):
    assert_refused("kubeflow compile", [f"beam.options={flag}"], message, tmp_path, capsys)
    config = override(preset("quickstart"), [f"beam.options={flag}"])
    assert message in refusal(ConfigError, preflight.check_machine, config, config.experiment)
    preflight.check_flags(override(config, ["beam.options=--direct_num_workers=2,--flag_of_another_engine"]).beam)


def test_each_preset_passes():
    for name in ("quickstart", "cifar10-cpu", "cifar10", "keras-example", "images"):
        preflight.check(preset(name))


def test_devices_that_do_not_fit_are_refused(monkeypatch):
    class Strategy:
        num_replicas_in_sync = 3

    monkeypatch.setattr("shiftvit.strategy.make_strategy", lambda replicas: Strategy())
    config = override(preset("cifar10-cpu"), ["train.batch_size=8"])

    assert "train.batch_size=8 is not divisible by 3" in refusal(
        ConfigError, preflight.check_machine, config, config.experiment
    )
    config = override(config, ["train.batch_size=9", "train.steps_per_execution=2"])
    assert "train.steps_per_execution=2 needs a single device" in refusal(
        ConfigError, preflight.check_machine, config, config.experiment
    )
