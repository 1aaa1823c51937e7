"""Names of the pipeline and its nodes."""

PIPELINE_NAME = "shiftvit"  # of the graph in ML Metadata, and of the served model


BASELINE = "Baseline"


SEARCH = "Tuner"


LITE = "LiteExport"
