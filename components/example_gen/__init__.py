"""Ingestion: converts binary records of CIFAR-10 to TFRecord files of Examples."""
