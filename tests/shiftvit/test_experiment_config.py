import dataclasses
import itertools
import json

import pytest

from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig, from_dict, to_dict
from shiftvit.dataset import DatasetInfo
from shiftvit.errors import ConfigError
from shiftvit.features import MAX_SIZE, MIN_SIZE

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
        (ModelConfig, {"n_div": 97}, "model.n_div=97 must be at most 96, the fewest channels"),
        (ModelConfig, {"mlp_ratio": 0.2, "dims": (4, 8), "depths": (1, 1), "n_div": 4}, "model.mlp_ratio=0.2 leaves"),
        (
            ModelConfig,
            {"stem": "conv", "patch_size": 3, "image_size": 48},
            "stem=conv .*patch_size=3 must be a power of 2",
        ),
        (
            ModelConfig,
            {"image_size": 32, "patch_size": 2, "shift_pixels": 16},
            "model.shift_pixels=16 must be less than 16, a side",
        ),
        (
            DataConfig,
            {"mixup": 0.6, "cutmix": 0.5},
            "data.mixup=0.6 and data.cutmix=0.5 together must not exceed 1",
        ),
        (DataConfig, {"image_size": 16, "crop_padding": 16}, "data.crop_padding=16 must be less than 16, a side"),
        (TrainConfig, {"freeze": 1}, "train.freeze=1 needs train.initial_weights: .* random weights"),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(kind, values, message):
    with pytest.raises(ConfigError, match=message):
        kind(**values)


def test_replicas_must_divide_the_global_batch():
    with pytest.raises(ConfigError, match=r"train\.batch_size=64 is not divisible by 3, the number of devices \(train"):
        TrainConfig(batch_size=64, replicas=3)


def test_several_steps_per_execution_need_a_single_device():
    assert TrainConfig(replicas=1, steps_per_execution=4).steps_per_execution == 4
    with pytest.raises(ConfigError, match=r"train\.steps_per_execution=2 needs a single device"):
        TrainConfig(replicas=2, steps_per_execution=2)


def test_the_data_fills_in_the_size_and_the_number_of_classes():
    model = ExperimentConfig(ModelConfig(patch_size=4)).for_data(DATA).model

    assert (model.image_size, model.num_classes) == (64, 7)
    assert ExperimentConfig(ModelConfig(image_size=96)).for_data(DATA).model.image_size == 96


def stored(size):
    return dataclasses.replace(DATA, image_size=size)


@pytest.mark.parametrize(
    "size, patch, stages",
    [
        (8, 1, 4),
        (15, 1, 4),
        (16, 2, 4),
        (28, 2, 4),
        (32, 2, 4),  # CIFAR
        (48, 2, 4),
        (63, 3, 4),
        (64, 4, 4),
        (65, 1, 4),
        (98, 2, 4),
        (99, 3, 4),
        (224, 4, 4),
        (256, 4, 4),
        (257, 1, 4),
        (264, 8, 4),
        (270, 6, 4),
        (512, 8, 4),
    ],
)
def test_the_patch_size_follows_from_the_size_of_the_images(size, patch, stages):
    model = ExperimentConfig().for_data(stored(size)).model

    assert (model.patch_size, len(model.dims), len(model.depths)) == (patch, stages, stages)
    assert ExperimentConfig(ModelConfig(image_size=size)).for_data(DATA).model == model


def test_every_size_that_can_be_stored_has_a_network():
    deep = ModelConfig(dims=(16,) * 6, depths=(1,) * 6)
    models = ModelConfig(), deep, dataclasses.replace(deep, stem="conv")

    for size, model in itertools.product(range(MIN_SIZE, MAX_SIZE + 1), models):
        model = model.for_images(size)
        maps = [size // model.patch_size // 2**stage for stage in range(len(model.dims))]
        assert size % model.patch_size == 0 and maps[-1] >= 1 and maps[0] > 1
        if size % 8 == 0 and size >= 32:
            assert 14 <= maps[0] <= 64, "wide enough to shift, and no slower than needed"


def test_stages_that_do_not_fit_are_dropped_from_the_end():
    deep = ModelConfig(dims=(16, 24, 32, 40, 48), depths=(1, 2, 3, 4, 5), n_div=4)

    assert deep.for_images(16).patch_size == 1 and deep.for_images(16).dims == deep.dims
    small = deep.for_images(8)
    assert (small.patch_size, small.dims, small.depths) == (1, (16, 24, 32, 40), (1, 2, 3, 4))


def test_a_conv_stem_gets_a_power_of_2():
    assert ModelConfig(stem="conv").for_images(99).patch_size == 1
    assert ModelConfig(stem="conv").for_images(270).patch_size == 2


@pytest.mark.parametrize(
    "model, size, message",
    [
        (
            {"patch_size": 5},
            64,
            "model.patch_size=5 does not divide images of 64 pixels a side; set "
            "model.patch_size=4, or 0 to have it chosen",
        ),
        (
            {"patch_size": 2},
            33,
            "model.patch_size=2 does not divide images of 33 pixels a side; set "
            "model.patch_size=1, or 0 to have it chosen",
        ),
        (
            {"patch_size": 16, "dims": (16,) * 5, "depths": (1,) * 5},
            8,
            "model.patch_size=16 does not divide images of 8 pixels a side; set model.image_size to a multiple of it",
        ),
        (
            {"patch_size": 2},
            14,
            "images of 14 pixels a side are too small for model.patch_size=2 and 4 stages, each of "
            "which halves the map; set model.patch_size=1, or 0 to have it chosen, or keep the first 3 entries of "
            "model.dims and model.depths",
        ),
        (
            {"patch_size": 1, "dims": (16,) * 5, "depths": (1,) * 5},
            8,
            "images of 8 pixels a side are too small for "
            "model.patch_size=1 and 5 stages, each of which halves the map; keep the first 4 entries of model.dims and "
            "model.depths",
        ),
        ({"shift_pixels": 9}, 8, "model.shift_pixels=9 must be less than 8, a side of the first map"),
    ],
)
def test_patches_that_do_not_fit_are_refused_with_the_way_out(model, size, message):
    for config, facts in ((model, stored(size)), ({**model, "image_size": size}, DATA)):
        with pytest.raises(ConfigError, match=f"^{message}$"):
            ExperimentConfig(ModelConfig(**config)).for_data(facts)


@pytest.mark.parametrize(
    "config, message",
    [
        (ExperimentConfig(ModelConfig(num_classes=10)), "model.num_classes=10, but the data has 7 classes"),
        (ExperimentConfig(data=DataConfig(crop_padding=64)), "data.crop_padding=64 must be less than 64, a side of"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(config, message):
    with pytest.raises(ConfigError, match=message):
        config.for_data(DATA)


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (ModelConfig(patch_size=5), DataConfig(image_size=64), "model.patch_size=5 does not divide images of 64"),
        (ModelConfig(image_size=16, shift_pixels=16), DataConfig(), "model.shift_pixels=16 must be less than"),
    ],
)
def test_what_a_size_that_is_set_does_not_fit_is_refused_before_the_data_is_known(model, data, message):
    with pytest.raises(ConfigError, match=message):
        ExperimentConfig(model, data)


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
