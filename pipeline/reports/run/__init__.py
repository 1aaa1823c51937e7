"""The report of a run: one HTML page for people, which needs nothing beside itself. Imports no TensorFlow."""
