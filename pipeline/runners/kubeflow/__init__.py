"""Kubeflow Pipelines (KFP): compiles, rehearses and submits the graph, and runs its steps."""
