"""The comparison of runs: which settings differ, and what difference they made. Imports no TensorFlow."""
