"""What LiteExport measured of its files. Imports no TensorFlow."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shiftvit.errors import DataError

REPORT_FILE = "lite.json"  # a LiteReport, beside the files
FLOAT32, INT8 = "float32", "int8"  # names of the files


@dataclass(frozen=True)
class LiteFile:
    """A TFLite file, compared with the model that it was converted from."""

    name: str
    bytes: int
    agreement: float  # share of the test images that get the model's class
    latency_ms: float  # median per image, on one core
    float32_products: int = 0  # matrix products of an int8 file that are computed in float32, the widest ranges first
    rejected: str | None = None  # why the file is not kept


@dataclass(frozen=True)
class LiteReport:
    """What LiteExport measured, as `lite.json` holds it."""

    images: int  # of the test split
    files: tuple[LiteFile, ...]

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "LiteReport":
        """Reads a report from plain data; raises DataError if another version wrote it."""
        try:
            return LiteReport(values["images"], tuple(LiteFile(**file) for file in values["files"]))
        except (TypeError, KeyError) as error:
            raise DataError(
                f"{REPORT_FILE}: another version of this project wrote it; use another --workspace"
            ) from error


def read_report(lite_uri: str) -> LiteReport:
    """Reads the report from the component's output."""
    return LiteReport.from_dict(json.loads(Path(lite_uri, REPORT_FILE).read_text(encoding="utf-8")))
