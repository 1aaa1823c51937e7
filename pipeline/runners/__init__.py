"""Runs the graph on this machine or on Kubeflow Pipelines, and its Beam steps on the chosen engine."""
