"""Traces functions as they are written.

By default, TensorFlow rewrites a function before tracing it (AutoGraph), so that Python's branches and loops may depend
on tensors. None of ours do, and the rewriting took a third of the time that a small training needs to start.
"""

import functools

import tensorflow as tf

as_written = tf.autograph.experimental.do_not_convert  # decorates a function that a library traces
function = functools.partial(tf.function, autograph=False)
compiled = functools.partial(function, jit_compile=True)  # with XLA
