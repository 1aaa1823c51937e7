import json

import pytest

from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig, from_dict, to_dict
from shiftvit.dataset import DatasetInfo
from shiftvit.errors import ConfigError

DATA = DatasetInfo(64, tuple("abcdefg"), {}, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def test_from_dict_inverts_to_dict_through_json():
    config = ExperimentConfig(ModelConfig(dims=(24, 48), depths=(1, 2)), DataConfig(flip=False), TrainConfig(epochs=3))

    values = json.loads(json.dumps(to_dict(config)))

    assert values["model"]["dims"] == [24, 48]
    assert from_dict(ExperimentConfig, values) == config


def test_a_missing_key_keeps_its_default():
    assert from_dict(ExperimentConfig, {"train": {"epochs": 7}}) == ExperimentConfig(train=TrainConfig(epochs=7))


def test_an_integer_is_converted_to_float():
    rate = from_dict(TrainConfig, {"learning_rate": 1}).learning_rate

    assert rate == 1.0 and isinstance(rate, float)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"train": {"learning_rat": 0.1}}, r"unknown key train.learning_rat; did you mean train.learning_rate\?"),
        ({"modle": {}}, r"unknown key modle; did you mean model\?"),
        ({"qqq": 1}, "unknown key qqq; known: data, model, train"),
        ({"train": 3}, "train must be a table of keys, not 3"),
        ([], r"the configuration must be a table of keys, not \[\]"),
        ({"train": {"epochs": 2.5}}, "train.epochs=2.5 must be a whole number"),
        ({"train": {"epochs": True}}, "train.epochs=True must be a whole number"),
        ({"train": {"epochs": "2"}}, "train.epochs='2' must be a whole number"),
        ({"train": {"learning_rate": float("nan")}}, "train.learning_rate=nan must be a finite number"),
        ({"train": {"precision": "float64"}}, "train.precision='float64' is not one of auto, float32, mixed_bfloat16"),
        ({"model": {"stem": "patches"}}, "model.stem='patches' is not one of patch, conv"),
        ({"model": {"norm": "group"}}, "model.norm='group' is not one of group1, layer, batch"),
        ({"model": {"activation": "elu"}}, "model.activation='elu' is not one of gelu, silu, relu"),
        ({"model": {"flip_test": "yes"}}, "model.flip_test='yes' must be true or false"),
        ({"train": {"initial_weights": 3}}, "train.initial_weights=3 must be a string"),
        ({"data": {"flip": 1}}, "data.flip=1 must be true or false"),
        ({"model": {"dims": 96}}, "model.dims=96 must be a list"),
        ({"model": {"dims": [96, 1.5]}}, "model.dims=1.5 must be a whole number"),
    ],
)
def test_invalid_values_are_named_by_their_dotted_key(values, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(ExperimentConfig, values)


@pytest.mark.parametrize(
    "kind, values, message",
    [
        (ModelConfig, {"dims": (8, 16)}, "one entry per stage"),
        (ModelConfig, {"dims": (), "depths": ()}, "one entry per stage"),
        (ModelConfig, {"depths": (2, 0, 8, 2)}, "must be positive"),
        (ModelConfig, {"image_size": 33}, "model.image_size=33 must be a multiple of model.patch_size=2"),
        (ModelConfig, {"image_size": 14}, "model.image_size=14 must be .* at least 16"),
        (ModelConfig, {"n_div": 3}, "model.n_div=3 must be from 4"),
        (ModelConfig, {"n_div": 97}, "model.n_div=97 must be from 4.* to 96"),
        (
            ModelConfig,
            {"stem": "conv", "patch_size": 3, "image_size": 48},
            "stem=conv .*patch_size=3 must be a power of 2",
        ),
        (ModelConfig, {"shift_pixels": -1}, "model.shift_pixels must not be negative"),
        (ModelConfig, {"image_size": 32, "shift_pixels": 16}, "model.shift_pixels=16 must be less than 16, a side"),
        (ModelConfig, {"mlp_ratio": 0.0}, "model.mlp_ratio must be positive"),
        (ModelConfig, {"drop_path": 1.0}, r"model.drop_path must be in \[0, 1\)"),
        (ModelConfig, {"dropout": -0.1}, r"model.dropout must be in \[0, 1\)"),
        (DataConfig, {"crop_padding": -1}, "data.crop_padding must not be negative"),
        (DataConfig, {"memory": 0}, "data.memory must be positive; it is in MB"),
        (DataConfig, {"randaugment_ops": -1}, "data.randaugment_ops must not be negative"),
        (DataConfig, {"randaugment_magnitude": 1.1}, r"data.randaugment_magnitude must be in \[0, 1\]"),
        (DataConfig, {"mixup": -0.1}, r"data.mixup must be in \[0, 1\]"),
        (DataConfig, {"cutmix": 1.1}, r"data.cutmix must be in \[0, 1\]"),
        (DataConfig, {"erasing": 1.1}, r"data.erasing must be in \[0, 1\]"),
        (
            DataConfig,
            {"mixup": 0.6, "cutmix": 0.5},
            "data.mixup=0.6 and data.cutmix=0.5 together must not exceed 1",
        ),
        (TrainConfig, {"epochs": 0}, "train.epochs must be positive"),
        (TrainConfig, {"batch_size": 0}, "train.batch_size must be positive"),
        (TrainConfig, {"replicas": -1}, "train.replicas must not be negative"),
        (TrainConfig, {"steps_per_epoch": -1}, "train.steps_per_epoch must not be negative"),
        (TrainConfig, {"learning_rate": 0.0}, "train.learning_rate must be positive"),
        (TrainConfig, {"warmup_fraction": 1.0}, r"train.warmup_fraction must be in \[0, 1\)"),
        (TrainConfig, {"weight_decay": -1.0}, "train.weight_decay must not be negative"),
        (TrainConfig, {"clip_norm": -1.0}, "train.clip_norm must not be negative"),
        (TrainConfig, {"steps_per_execution": 0}, "train.steps_per_execution must be positive"),
        (TrainConfig, {"ema_decay": 1.0}, r"train.ema_decay must be in \[0, 1\)"),
        (TrainConfig, {"label_smoothing": 1.0}, r"train.label_smoothing must be in \[0, 1\)"),
        (TrainConfig, {"layer_decay": 0.0}, "train.layer_decay=0.0 must be above 0, and at most 1"),
        (TrainConfig, {"layer_decay": 1.1}, "train.layer_decay=1.1 must be above 0, and at most 1"),
        (TrainConfig, {"freeze": -1, "initial_weights": "w.npz"}, "train.freeze=-1 must not be negative"),
        (TrainConfig, {"freeze": 1}, "train.freeze=1 needs train.initial_weights: .* random weights"),
    ],
)
def test_values_out_of_range_are_refused(kind, values, message):
    with pytest.raises(ConfigError, match=message):
        kind(**values)


def test_replicas_must_divide_the_global_batch():
    with pytest.raises(ConfigError, match=r"train\.batch_size=64 is not divisible by train\.replicas=3"):
        TrainConfig(batch_size=64, replicas=3)


def test_the_data_fills_in_the_size_and_the_number_of_classes():
    model = ExperimentConfig(ModelConfig(patch_size=4)).for_data(DATA).model

    assert (model.image_size, model.num_classes) == (64, 7)
    assert ExperimentConfig(ModelConfig(image_size=96)).for_data(DATA).model.image_size == 96


@pytest.mark.parametrize(
    "config, message",
    [
        (ExperimentConfig(ModelConfig(num_classes=10)), "model.num_classes=10, but the data has 7 classes"),
        (ExperimentConfig(ModelConfig(patch_size=5)), "model.image_size=64 must be a multiple of model.patch_size=5"),
        (ExperimentConfig(data=DataConfig(crop_padding=64)), "data.crop_padding=64 must be less than 64, a side of"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(config, message):
    with pytest.raises(ConfigError, match=message):
        config.for_data(DATA)


def test_classes_are_balanced_in_one_way_only():
    weighed = TrainConfig(class_weights="balanced")

    ExperimentConfig(train=weighed)
    with pytest.raises(ConfigError, match=r"data\.balance=true .*: set train\.class_weights=none, not balanced, or"):
        ExperimentConfig(data=DataConfig(balance=True), train=weighed)


def test_no_more_stages_are_frozen_than_there_are():
    model, train = ModelConfig(dims=(16, 32), depths=(1, 1)), {"initial_weights": "w.npz"}

    ExperimentConfig(model, train=TrainConfig(**train, freeze=2))
    with pytest.raises(ConfigError, match=r"train\.freeze=3 must be at most 2, the number of stages in model\.depths"):
        ExperimentConfig(model, train=TrainConfig(**train, freeze=3))
