"""What every record must look like: the curated schema that the data is validated against."""

from pathlib import Path

SCHEMA_FILE = Path(__file__).with_name("schema.pbtxt")
