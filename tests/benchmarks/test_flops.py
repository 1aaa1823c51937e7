from benchmarks import flops
from shiftvit.config import ModelConfig


def test_operations_of_a_network_small_enough_to_count_by_hand():
    config = ModelConfig(image_size=4, patch_size=2, dims=(4, 6), depths=(1, 2), n_div=4, mlp_ratio=2.0, num_classes=3)

    # A map of 2 x 2 positions, then of 1: each multiplication with its addition is two operations.
    stem = 2 * 4 * (2 * 2 * 3) * 4
    first = 2 * (4 * 4 * 8) * 2
    merge = 2 * (1 * (2 * 2 * 4) * 6)
    second = 2 * 2 * (1 * 6 * 12) * 2
    head = 2 * 6 * 3
    assert flops.forward(config) == stem + first + merge + second + head == 384 + 512 + 192 + 576 + 36
    assert flops.training(config) == 3 * flops.forward(config) - stem


def test_a_convolutional_stem_is_counted_step_by_step():
    config = ModelConfig(image_size=8, patch_size=4, stem="conv", dims=(8,), depths=(1,), n_div=4)

    assert flops.stem(config) == 2 * (4 * 4 * 27 * 4) + 2 * (2 * 2 * 36 * 8)


def test_an_odd_map_is_merged_with_its_border_filled_up():
    odd, even = (ModelConfig(image_size=size, patch_size=1, dims=(4, 4), depths=(1, 1), n_div=4) for size in (3, 4))

    # What is left of the difference are positions of the first stage: both merge to 2 x 2.
    each = 2 * (3 * 4) + 2 * 2 * (4 * 8)
    assert flops.forward(even) - flops.forward(odd) == (16 - 9) * each
