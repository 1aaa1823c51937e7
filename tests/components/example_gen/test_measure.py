import numpy as np
import pytest

from components.example_gen import measure
from components.example_gen.blocks import Block
from shiftvit.errors import DataError

COUNTS = {"train": 50, "eval": 20}


def draw(split, size=8):
    """Returns images with a different mean in each channel, and their labels."""
    random = np.random.default_rng(len(split))
    images = random.integers(0, (64, 128, 256), (COUNTS[split], size, size, 3), np.uint8)
    return images, random.integers(0, 7, COUNTS[split])


def in_shards(split, shard=15, num_classes=7):
    images, labels = draw(split)
    starts = range(0, COUNTS[split], shard)
    blocks = [Block(images[i : i + shard], labels[i : i + shard]) for i in starts]
    return [measure.measure(split, i, block, num_classes) for i, block in zip(starts, blocks, strict=True)]


def test_shards_combine_to_the_facts_of_the_whole_set():
    dataset = measure.combine([*in_shards("train"), *in_shards("eval")], tuple("abcdefg"), COUNTS)

    images, labels = draw("train")
    assert (dataset.image_size, dataset.num_classes) == (8, 7)
    assert dataset.class_counts["train"] == tuple(np.bincount(labels, minlength=7))
    assert sum(dataset.class_counts["eval"]) == COUNTS["eval"]
    np.testing.assert_allclose(dataset.pixel_mean, (images / 255).mean(axis=(0, 1, 2)), atol=5e-5)
    np.testing.assert_allclose(dataset.pixel_std, (images / 255).std(axis=(0, 1, 2)), atol=5e-5)


def test_a_lost_shard_is_noticed():
    with pytest.raises(DataError, match="split train: 35 of its 50 images were ingested"):
        measure.combine([*in_shards("train")[1:], *in_shards("eval")], tuple("abcdefg"), COUNTS)


def test_measurements_are_loaded_as_they_were_saved(tmp_path):
    [shard, *_] = in_shards("train")
    shard.save(f"{tmp_path}/shard.json")

    assert measure.load(f"{tmp_path}/shard.json") == shard
