import numpy as np
import pytest
import tensorflow as tf

from benchmarks import input_pipeline, layers, machine, timing
from benchmarks.derivatives import forward_backward
from benchmarks.machine import Limits
from benchmarks.table import Table, number, percent
from shiftvit.config import ModelConfig


def test_rounds_alternate_their_order_after_an_uncounted_one():
    taken, figures = [], iter(range(100))

    def turn(name):
        return lambda: taken.append(name) or next(figures)

    measured = timing.interleave("test", {"a": turn("a"), "b": turn("b")}, seconds=0)

    assert "".join(taken) == "ab" + "ba" + "ab" + "ba"
    assert measured == {"a": [3, 4, 7], "b": [2, 5, 6]}


def test_ratio_is_the_median_of_the_ratios_within_each_round():
    slowed = {"a": [1.0, 30.0, 10.0], "b": [2.0, 60.0, 3.0]}  # the whole second round is slowed down, then one turn

    assert timing.ratio(slowed, "b", "a") == 2.0
    assert timing.medians(slowed) == {"a": 10.0, "b": 3.0}


def test_short_work_is_repeated(monkeypatch):
    clock, calls = [0.0], []
    monkeypatch.setattr(timing, "_now", lambda: clock[0])

    def work():
        calls.append(1)
        clock[0] += 0.02

    turn = timing.repeated(work)

    assert turn() == pytest.approx(0.02)
    assert len(calls) == 2 + 3, "two calls to find how long it takes, then enough for a turn"
    assert turn() == pytest.approx(0.02) and len(calls) == 5 + 3


def test_limit_is_the_longer_of_computing_and_moving():
    limits = Limits({"float32": 100.0}, bandwidth=10.0)

    assert limits.seconds(flops=200, moved=10, precision="float32") == 2.0
    assert limits.seconds(flops=200, moved=50, precision="float32") == 5.0


def test_table_is_markdown_with_names_left_and_figures_right():
    table = Table("Speed", ("", "images/s"), notes=("The limit: 9.",))
    table.add("ours", number(1234.5))
    table.add("Keras example", number(0.01234))

    assert table.render() == (
        "### Speed\n\n"
        "|               | images/s |\n"
        "| ------------- | -------: |\n"
        "| ours          |    1,234 |\n"
        "| Keras example |   0.0123 |\n\n"
        "The limit: 9."
    )
    assert (percent(0.123), percent(0.0123)) == ("12%", "1.2%")


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_both_implementations_of_a_layer_agree_and_have_gradients(monkeypatch, precision):
    monkeypatch.setattr(timing, "_MIN_TURN", 0.0)
    config = ModelConfig(image_size=8, num_classes=10, patch_size=2, dims=(16, 32), depths=(1, 1), n_div=4)

    dtype = machine.PRECISIONS[precision]
    for comparison in layers.comparisons(config, 2, precision):
        for plain, ours in zip(comparison.plain_variables, comparison.variables, strict=True):
            ours.assign(plain)
        x = tf.cast(tf.random.stateless_normal(comparison.shape, (1, 2)), dtype)
        expected, got = (np.asarray(layer(x), np.float32) for layer in (comparison.plain, comparison.ours))
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 if precision == "float32" else 0.05)
        for turn in comparison.turns(precision).values():
            turn()


def test_forward_backward_returns_the_output_and_all_gradients():
    weight = tf.Variable([[2.0], [3.0]])

    output, gradients = forward_backward(lambda x: x @ weight, (4, 2), tf.float32, [weight])()
    assert output.shape == (4, 1) and [g.shape for g in gradients] == [(4, 2), (2, 1)]

    _, gradients = forward_backward(lambda x: x @ weight, (4, 2), tf.float32, [weight], to_input=False)()
    assert [g.shape for g in gradients] == [(2, 1)]


def test_each_turn_starts_the_input_pipeline_anew(monkeypatch):
    """One that ran on would fill its buffers between its turns, and look fast in the next one."""
    monkeypatch.setattr(input_pipeline, "_TURN", 0.0)
    starts = []

    def batches():
        starts.append(1)
        while True:
            yield 0

    data = tf.data.Dataset.from_generator(batches, output_signature=tf.TensorSpec((), tf.int32)).prefetch(100)
    turn = input_pipeline.loading_turn(data, batch=2)

    assert turn() > 0 and turn() > 0
    assert len(starts) == 2
