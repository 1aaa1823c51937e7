"""Ingestion: binary records of CIFAR-10 to TFRecords of Examples."""
