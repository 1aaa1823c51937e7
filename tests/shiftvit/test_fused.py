import numpy as np
import pytest
import tensorflow as tf

from shiftvit import fused
from shiftvit.fused import bias_activation, column_sums, fused_bias_activation, fused_group_norm, group_norm

DTYPES = [tf.float32, tf.bfloat16]
# Relative. bfloat16 has eight significant bits; processors without bfloat16 instructions round partial sums too.
ROUNDING = {tf.float32: 1e-5, tf.bfloat16: 2 * 2**-8}


def draw(shape, dtype=tf.float32, seed=0):
    return tf.cast(tf.random.stateless_normal(shape, (seed, 1)), dtype)


def gradients(function, inputs, upstream):
    """Returns the result of function(*inputs) and its gradients to each input, as float32 arrays."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = function(*inputs)
    results = (y, *tape.gradient(y, inputs, upstream))
    return [tf.cast(result, tf.float32).numpy() for result in results], [result.dtype for result in results]


def assert_same(found, expected, tolerance):
    """Compares each pair of arrays by norm, and their values within a few roundings of the largest."""
    for one, other in zip(found, expected, strict=True):
        assert np.linalg.norm(one - other) <= tolerance * np.linalg.norm(other)
        assert np.abs(one - other).max() <= 4 * tolerance * np.abs(other).max()


def norm_inputs(dtype):
    scale = tf.constant([1, 20, 0.05], dtype)[:, None, None, None]
    return [draw((3, 5, 4, 24), dtype) * scale + scale, draw((24,), seed=1), draw((24,), seed=2)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_fused_group_norm_has_the_gradients_of_the_plain_one(dtype):
    inputs, upstream = norm_inputs(dtype), draw((3, 5, 4, 24), dtype, 3)

    found, types = gradients(fused_group_norm, inputs, upstream)
    expected, expected_types = gradients(group_norm, inputs, upstream)

    assert types == expected_types == [dtype, dtype, tf.float32, tf.float32]
    assert_same(found, expected, ROUNDING[dtype])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("activation", ["gelu", "silu", "relu"])
def test_fused_activation_has_the_gradients_of_the_plain_one(activation, dtype):
    inputs, upstream = [draw((60, 24), dtype), draw((24,), dtype, 1)], draw((60, 24), dtype, 2)

    found, types = gradients(lambda x, bias: fused_bias_activation(x, bias, activation), inputs, upstream)
    # In float32, in which TensorFlow's own gradient of the bias is accurate.
    wide = [tf.cast(value, tf.float32) for value in (*inputs, upstream)]
    expected, _ = gradients(lambda x, bias: bias_activation(x, bias, activation), wide[:2], wide[2])

    assert types == [dtype] * 3
    assert_same(found, expected, ROUNDING[dtype])


def test_gradients_are_the_same_in_a_graph():
    inputs, upstream = norm_inputs(tf.float32), draw((3, 5, 4, 24), seed=3)

    @tf.function
    def in_graph(x, gamma, beta):
        with tf.GradientTape() as tape:
            tape.watch((x, gamma, beta))
            y = fused_group_norm(x, gamma, beta)
            z = fused_bias_activation(tf.reshape(y, (-1, 24)), beta, "gelu")
        return tape.gradient(z, (x, gamma, beta), tf.reshape(upstream, (-1, 24)))

    def plain(x, gamma, beta):
        return bias_activation(tf.reshape(group_norm(x, gamma, beta), (-1, 24)), beta, "gelu")

    expected, _ = gradients(plain, inputs, tf.reshape(upstream, (-1, 24)))

    assert_same([gradient.numpy() for gradient in in_graph(*inputs)], expected[1:], 1e-5)


@pytest.mark.parametrize("norm", [group_norm, fused_group_norm])
def test_group_norm_is_accurate_for_a_small_deviation_around_a_large_mean(norm):
    x = draw((2, 8, 8, 16)) + 1000

    y = norm(x, tf.ones(16), tf.zeros(16)).numpy()

    values = x.numpy().astype(np.float64)
    mean, deviation = (f(values, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.std))
    np.testing.assert_allclose(y, (values - mean) / deviation, atol=2e-3)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_column_sums_stay_accurate_over_many_rows(dtype):
    x = tf.cast(tf.random.stateless_uniform((40_000, 24), (0, 0)), dtype)

    sums = column_sums(x)

    expected = tf.cast(x, tf.float64).numpy().sum(axis=0)
    assert sums.dtype == dtype and sums.shape == (24,)
    np.testing.assert_allclose(tf.cast(sums, tf.float64), expected, rtol=ROUNDING[dtype])


def test_gelu_has_the_same_operations_on_both_stacks():
    graph = tf.function(fused.gelu).get_concrete_function(tf.TensorSpec(None, tf.float32)).graph

    assert {"Erf", "Erfc"} & {operation.type for operation in graph.get_operations()} == {"Erf"}
