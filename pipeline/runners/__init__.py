"""Where the graph runs: this machine, Kubeflow Pipelines, and Beam's engines."""
