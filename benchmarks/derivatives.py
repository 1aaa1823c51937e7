"""Builds a call that runs a function forward and backward, for timing."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def forward_backward(
    function: Callable[[tf.Tensor], tf.Tensor],
    shape: Sequence[int],
    dtype: tf.DType,
    variables: Sequence[tf.Variable] = (),
    to_input: bool = True,
    jit_compile: bool = False,
) -> Callable[[], object]:
    """Returns a call that computes `function` of a random input, and the gradients of its output.

    Args:
        function: takes a tensor of `shape` and `dtype`.
        shape: of the input, with the batch.
        dtype: of the input.
        variables: to differentiate by.
        to_input: whether to differentiate by the input as well.
        jit_compile: whether to compile with XLA.
    """
    x = tf.cast(tf.random.stateless_normal(shape, (0, 0)), dtype)
    output = function(x)
    upstream = tf.cast(tf.random.stateless_normal(output.shape, (0, 1)), output.dtype)

    @tf.function(jit_compile=jit_compile)
    def work(x: tf.Tensor, upstream: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        gradients = tape.gradient(y, [*([x] if to_input else []), *variables], upstream)
        assert all(gradient is not None for gradient in gradients), "the function does not use a variable"
        return y, gradients  # returning y keeps TensorFlow from pruning operations that only y needs

    return lambda: work(x, upstream)
