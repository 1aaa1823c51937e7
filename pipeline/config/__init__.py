"""The configuration of a run: settings, presets, overrides. Imports no TensorFlow."""
