import pytest

from benchmarks import flops
from shiftvit.config import ModelConfig


def test_operations_of_a_small_network_counted_by_hand():
    config = ModelConfig(image_size=4, patch_size=2, dims=(4, 6), depths=(1, 2), n_div=4, mlp_ratio=2.0, num_classes=3)

    # A feature map of 2 x 2 positions, then of 1; a multiply-add is two operations.
    stem = 2 * 4 * (2 * 2 * 3) * 4
    first = 2 * (4 * 4 * 8) * 2
    merge = 2 * (1 * (2 * 2 * 4) * 6)
    second = 2 * 2 * (1 * 6 * 12) * 2
    head = 2 * 6 * 3
    assert flops.forward(config) == stem + first + merge + second + head == 384 + 512 + 192 + 576 + 36
    assert flops.training(config) == 3 * flops.forward(config) - stem


def test_convolutional_stem_is_the_sum_of_its_convolutions():
    config = ModelConfig(image_size=8, num_classes=10, patch_size=4, stem="conv", dims=(8,), depths=(1,), n_div=4)

    assert flops.stem(config) == 2 * (4 * 4 * 27 * 4) + 2 * (2 * 2 * 36 * 8)


@pytest.mark.parametrize("pad, neighbour", [(True, 4), (False, 2)])
def test_map_of_odd_size_is_merged_like_the_next_larger_or_smaller_one(pad, neighbour):
    odd, even = (
        ModelConfig(
            image_size=size, num_classes=10, patch_size=1, dims=(4, 4), depths=(1, 1), n_div=4, pad_odd_maps=pad
        )
        for size in (3, neighbour)
    )

    # Both merge to the same size, so they differ only by the positions of the first stage.
    per_position = 2 * (3 * 4) + 2 * 2 * (4 * 8)
    assert flops.forward(even) - flops.forward(odd) == (neighbour**2 - 9) * per_position
