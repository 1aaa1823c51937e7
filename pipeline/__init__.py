"""The pipeline's graph, its configuration, its runners and its command line."""
