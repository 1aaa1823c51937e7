"""Ingestion: turns a prepared source into TFRecord files of Examples."""
