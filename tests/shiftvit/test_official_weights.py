import re
import sys

import numpy as np
import official
import pytest
import tensorflow as tf

from shiftvit.config import ModelConfig
from shiftvit.errors import ConfigError, DataError
from shiftvit.model import build_network
from shiftvit.official_weights import load_official, read_official, to_official

COUNTER = "num_batches_tracked"
TINY = ModelConfig(
    image_size=32, num_classes=10, patch_size=4, dims=(8, 16), depths=(1, 2), n_div=4, mlp_ratio=2.0, drop_path=0.0
)


def changed(**leaves):
    return build_network(ModelConfig(**{**vars(TINY), **leaves}))


@pytest.fixture(scope="module")
def weights():
    """Random weights for a network of TINY, as an official state dict."""
    rng = np.random.default_rng(0)
    shapes = {name: array.shape for name, array in to_official(build_network(TINY)).items()}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "name", ["shiftvit_gn1_gelu", "shiftvit_gn1_div8_patch2", "shiftvit_bn_relu", "shiftvit_odd_maps"]
)
def test_official_weights_survive_a_round_trip_bit_for_bit(name, precision):
    vectors = official.load_vectors(name)
    network = build_network(vectors.config, precision)

    assert load_official(network, vectors.weights) == []
    back = to_official(network)

    assert back.keys() == {name for name in vectors.weights if not name.endswith(COUNTER)}
    for name, array in back.items():
        assert array.shape == vectors.weights[name].shape and array.tobytes() == vectors.weights[name].tobytes(), name


@pytest.mark.parametrize("norm", ["group1", "layer", "batch"])
def test_our_weights_survive_a_round_trip_bit_for_bit(norm):
    source, target = changed(norm=norm), changed(norm=norm)
    source.set_weights([np.random.default_rng(0).standard_normal(w.shape) for w in source.weights])

    load_official(target, to_official(source))

    for theirs, ours in zip(source.get_weights(), target.get_weights(), strict=True):
        assert theirs.tobytes() == ours.tobytes()


def test_a_head_with_other_classes_is_not_loaded_and_reported(weights):
    network = changed(num_classes=3)
    head = network.get_layer("head").get_weights()

    notes = load_official(network, weights)

    assert notes == ["the head of 10 classes was not loaded: this network has 3"]
    for before, after in zip(head, network.get_layer("head").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    loaded = to_official(network)
    assert all(np.array_equal(loaded[name], weights[name]) for name in weights if not name.startswith("head."))


def test_weights_fit_images_of_another_size(weights):
    large = changed(image_size=48)

    assert load_official(large, weights) == []
    assert all(np.array_equal(array, weights[name]) for name, array in to_official(large).items())


@pytest.mark.parametrize(
    "leaves, message",
    [
        ({"dims": (8, 24)}, r"of layers.0.downsample.reduction.weight .* shape \(16, 8, 2, 2\), .* \(24, 8, 2, 2\)"),
        ({"depths": (2, 2)}, r"of layers.0.blocks.1.norm2.weight they have none, .* one of shape \(8,\)"),
        ({"depths": (1, 1)}, r"of layers.1.blocks.1.norm2.weight they have one of shape \(16,\), .* has none"),
        ({"mlp_ratio": 4.0}, r"of layers.0.blocks.0.mlp.fc1.weight .* \(16, 8, 1, 1\), .* \(32, 8, 1, 1\)"),
        ({"patch_size": 2}, r"of patch_embed.proj.weight .* \(8, 3, 4, 4\), .* \(8, 3, 2, 2\)"),
        ({"norm": "batch"}, r"of patch_embed.norm.running_mean they have none, .* shape \(8,\); .* norm must be"),
        ({"dims": (8,), "depths": (1,)}, r"of norm.weight they have one of shape \(16,\), .* one of shape \(8,\)"),
        ({"stem": "conv"}, "model.stem=patch: they have no layer stem0"),
    ],
)
def test_weights_of_another_network_are_refused_and_none_is_loaded(leaves, message, weights):
    network = changed(**leaves)
    before = network.get_weights()

    with pytest.raises(ConfigError, match=message):
        load_official(network, weights)

    assert all(np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda weights: weights.pop("head.weight"),
        lambda weights: weights.update({"head.bias": np.zeros(3, np.float32)}),
        lambda weights: weights.update({"head.weight": np.zeros((3, 5), np.float32), "head.bias": np.zeros(3)}),
    ],
)
def test_a_head_that_differs_in_more_than_its_classes_is_refused(change, weights):
    weights = dict(weights)
    change(weights)

    with pytest.raises(ConfigError, match=r"of head\.(weight|bias) they have"):
        load_official(build_network(TINY), weights)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_npz_file_is_read_as_float32_without_counters(dtype, weights, tmp_path):
    arrays = {name: array.astype(dtype) for name, array in weights.items()}
    path = save(tmp_path / "weights.npz", **arrays, **{f"norm.{COUNTER}": np.int64(7)})

    found = read_official(path)

    assert found.keys() == weights.keys() and {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    assert all(np.array_equal(array, arrays[name].astype(np.float32)) for name, array in found.items())


def test_other_file_types_are_refused():
    with pytest.raises(ConfigError, match=r"weights\.bin is no file of .* must end in \.npz or \.pth"):
        read_official("weights.bin")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}/none.npz cannot be read: No such file")):
        read_official(f"{tmp_path}/none.npz")


def test_a_damaged_file_is_named(weights, tmp_path):
    path = tmp_path / "weights.npz"
    save(path, **weights)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1

    for content in (b"", b"some text", whole[: len(whole) // 2], bytes(flipped)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=re.escape(f"{path} is damaged or not an .npz file of plain arrays")):
            read_official(str(path))


def test_a_single_array_is_refused(tmp_path):
    with open(tmp_path / "weights.npz", "wb") as file:
        np.save(file, np.zeros((3, 2), np.float32))

    with pytest.raises(DataError, match=r"weights\.npz is damaged or not an \.npz file of plain arrays"):
        read_official(str(tmp_path / "weights.npz"))


class Trap:
    """Raises when it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file was run')",)


def test_pickled_code_is_refused_and_never_run(tmp_path):
    path = save(tmp_path / "weights.npz", trap=np.array([Trap()], object))

    with pytest.raises(DataError, match=r"not an \.npz file of plain arrays"):
        read_official(path)


@pytest.mark.parametrize("value", [np.arange(3), np.array("text"), np.array([True])])
def test_arrays_of_other_types_are_refused(value, tmp_path):
    path = save(tmp_path / "weights.npz", **{"head.bias": value})

    with pytest.raises(DataError, match=r"weights\.npz holds more than weights: head.bias is of type"):
        read_official(path)


def test_without_torch_the_error_explains_how_to_convert_a_pth_file(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "weights.pth").write_bytes(b"")

    with pytest.raises(ConfigError, match=r"weights\.pth cannot be read because torch is not .* numpy\.savez"):
        read_official(str(tmp_path / "weights.pth"))


@pytest.mark.parametrize("nested", [False, True])
def test_a_pth_file_is_read_if_torch_is_installed(nested, tmp_path):
    torch = pytest.importorskip("torch")
    vectors = official.load_vectors("shiftvit_bn_relu")
    state = {name: torch.from_numpy(array.copy()) for name, array in vectors.weights.items()}
    torch.save({"model": state, "epoch": 300} if nested else state, tmp_path / "weights.pth")

    found = read_official(str(tmp_path / "weights.pth"))

    assert load_official(build_network(vectors.config), found) == []
    assert all(np.array_equal(array, vectors.weights[name]) for name, array in found.items())


@pytest.mark.parametrize("content", [{"model": Trap()}, [1, 2], {"epoch": 3}])
def test_a_pth_file_without_a_state_dict_is_refused_and_never_run(content, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(content, tmp_path / "weights.pth")

    with pytest.raises(DataError, match=r"weights\.pth is (damaged or holds more than tensors|not a state dict)"):
        read_official(str(tmp_path / "weights.pth"))


def test_loaded_weights_change_the_networks_output(weights):
    network, images = build_network(TINY), tf.random.stateless_normal((2, 32, 32, 3), (0, 0))
    again = build_network(TINY)
    before = network(images).numpy()

    load_official(network, weights)
    load_official(again, weights)

    assert np.abs(network(images) - before).max() > 0.1
    np.testing.assert_array_equal(network(images), again(images))
