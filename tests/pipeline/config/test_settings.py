import json

import pytest

from pipeline.config.config_file import load, save
from pipeline.config.overrides import override
from pipeline.config.presets import PRESETS, preset
from shiftvit.config import ExperimentConfig
from shiftvit.errors import ConfigError


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_and_has_its_name(name):
    config = preset(name)

    assert config.preset == name
    assert config.experiment == ExperimentConfig(config.model, config.data, config.train)


def test_an_unknown_preset_is_refused_with_the_nearest_names():
    with pytest.raises(ConfigError, match=r"unknown preset 'cifar-10'; did you mean cifar10"):
        preset("cifar-10")


@pytest.mark.parametrize(
    "setting, read",
    [
        ("train.epochs=20", lambda c: c.train.epochs == 20),
        ("train.learning_rate=1e-4", lambda c: c.train.learning_rate == 1e-4),
        ("model.depths=1,3", lambda c: c.model.depths == (1, 3)),
        ("model.dims=[16, 24]", lambda c: c.model.dims == (16, 24)),
        ("data.flip=true", lambda c: c.data.flip is True),
        ("train.precision=float32", lambda c: c.train.precision == "float32"),
        ("source=/data/a=b,c", lambda c: c.source == "/data/a=b,c"),
        ("workspace=7", lambda c: c.workspace == "7"),
    ],
)
def test_an_override_sets_its_leaf_and_nothing_else(setting, read):
    config = override(preset("quickstart"), [setting])

    assert read(config)
    key = setting.partition("=")[0]
    back = override(config, [f"{key}={_as_text(preset('quickstart'), key)}"])
    assert back == preset("quickstart")


def _as_text(config, key):
    value = config
    for name in key.split("."):
        value = getattr(value, name)
    return value if isinstance(value, str) else json.dumps(value)


def test_no_more_stages_are_frozen_than_the_model_has():
    settings = ["train.initial_weights=w.npz", "train.freeze=3"]

    assert override(preset("quickstart"), [*settings, "model=shiftvit_light_tiny"]).train.freeze == 3
    with pytest.raises(ConfigError, match=r"train\.freeze=3 must be at most 2, the number of stages"):
        override(preset("quickstart"), [*settings, "model.dims=8,16", "model.depths=1,1"])


def test_overrides_are_validated_together_and_the_last_one_wins():
    config = override(preset("quickstart"), ["model.dims=8,16,9", "model.depths=1,1,1", "train.seed=1", "train.seed=2"])

    assert config.model.dims == (8, 16, 9) and config.train.seed == 2


@pytest.mark.parametrize(
    "setting, sentence",
    [
        ("train.epochs", "--set train.epochs: expected KEY=VALUE"),
        ("train.epoch=3", r"unknown key train.epoch; did you mean train.epochs"),
        ("trian.epochs=3", r"unknown key trian.epochs; did you mean train\?"),
        ("train.epochs.more=3", "unknown key train.epochs.more; did you mean train.epochs"),
        ("train=3", "train is a group of settings; known: train.batch_size, "),
        ("=3", "unknown key ; known: beam, canary, data, "),
        ("train.epochs=many", "train.epochs='many' must be a whole number"),
        ("train.epochs=", "train.epochs='' must be a whole number"),
        ("train.learning_rate=Infinity", "train.learning_rate=inf must be a finite number"),
        ("model.dims=8,x", "model.dims='x' must be a whole number"),
        ("evaluate.min_top1=90", "evaluate.min_top1=90.0 must be from 0 to 1$"),
        ("tune.objective=val_accuracy", "tune.objective=val_accuracy is not recorded; .*val_top1"),
        ("train.freeze=1", "train.freeze=1 needs train.initial_weights"),
        ("train.replicas=3", "train.batch_size=64 is not divisible by 3, the number of devices"),
    ],
)
def test_an_invalid_override_is_refused(setting, sentence):
    with pytest.raises(ConfigError, match=sentence):
        override(preset("quickstart"), [setting])


def test_load_reads_what_save_wrote(tmp_path):
    config = override(preset("cifar10"), ["train.seed=5", "model.depths=1,1,1,1"])

    save(config, tmp_path / "config.json")

    assert load(tmp_path / "config.json") == config


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("{", "not a JSON configuration"),
        ("[1]", "must be a table of keys"),
        ('{"train": {"epoch": 1}}', "train.epoch;"),
    ],
)
def test_a_file_that_is_not_a_configuration_is_refused_with_its_name(tmp_path, text, sentence):
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(ConfigError, match=f"config.json: .*{sentence}"):
        load(tmp_path / "config.json")


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none.json: cannot read the configuration \(No such file or directory\)"):
        load(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load(tmp_path)


def test_model_takes_a_published_variant_with_our_classes_and_later_settings_change_it():
    model = override(preset("cifar10"), ["model=shiftvit_r4_tiny", "model.image_size=64"]).model

    assert (model.dims, model.depths, model.mlp_ratio) == ((96, 192, 384, 768), (2, 2, 12, 3), 4.0)
    assert (model.num_classes, model.image_size) == (0, 64)
    with pytest.raises(ConfigError, match=r"unknown variant shiftvit_r4_tin; did you mean .*shiftvit_r4_tiny"):
        override(preset("cifar10"), ["model=shiftvit_r4_tin"])


@pytest.mark.parametrize(
    "given, located",
    [
        ("shapes", "shapes"),
        ("tfds", "tfds"),
        ("tfds:a.tar.gz", "tfds:{folder}/a.tar.gz"),
        ("data/cifar", "{folder}/data/cifar"),
        ("/data/cifar", "/data/cifar"),
    ],
)
def test_locate_makes_source_and_workspace_absolute(given, located, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    config = override(preset("quickstart"), [f"source={given}", "workspace=w"]).with_absolute_paths()

    assert config.source == located.format(folder=tmp_path)
    assert config.workspace == str(tmp_path / "w")
    assert config.with_absolute_paths() == config


def test_locate_makes_the_path_of_the_initial_weights_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    config = override(preset("quickstart"), ["train.initial_weights=weights.npz"]).with_absolute_paths()

    assert config.train.initial_weights == str(tmp_path / "weights.npz")
    assert preset("quickstart").with_absolute_paths().train.initial_weights == ""
