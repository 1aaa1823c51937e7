"""The schema that every record must satisfy."""

from pathlib import Path

SCHEMA_FILE = Path(__file__).with_name("schema.pbtxt")
