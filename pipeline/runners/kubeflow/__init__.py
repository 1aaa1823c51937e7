"""Kubeflow Pipelines: the compiled graph, its rehearsal, its submission, and what a step of it runs."""
