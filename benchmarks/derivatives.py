"""A function and its gradients as one piece of work that can be timed."""

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
    """Returns a call that computes `function` of a random input and the gradients of its output.

    Args:
        function: takes a tensor of `shape` and `dtype`.
        shape: of the input, batch included.
        dtype: of the input.
        variables: that gradients go to.
        to_input: whether they go to the input as well.
        jit_compile: whether XLA compiles the whole.
    """
    x = tf.cast(tf.random.stateless_normal(shape, (0, 0)), dtype)
    output = function(x)
    upstream = tf.cast(tf.random.stateless_normal(output.shape, (0, 1)), output.dtype)

    @tf.function(jit_compile=jit_compile)
    def work(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        gradients = tape.gradient(y, [*([x] if to_input else []), *variables], upstream)
        assert all(gradient is not None for gradient in gradients), "a variable that the function does not use"
        return y, gradients  # the output too, or else what only it needs would not be computed

    return lambda: work(x, upstream)
