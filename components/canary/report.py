"""The Canary's verdict on a model. Imports no TensorFlow."""

import json
from dataclasses import dataclass, field
from pathlib import Path

REPORT_FILE = "canary.json"  # a CanaryReport, beside the blessing


@dataclass(frozen=True)
class CanaryReport:
    """The verdict and the reason for it, good or bad."""

    passed: bool
    reason: str
    latency_ms: dict[str, float] = field(default_factory=dict)  # median per request by number of images, if measured


def read_report(blessing_uri: str) -> CanaryReport:
    """Reads the report from the component's output."""
    return CanaryReport(**json.loads(Path(blessing_uri, REPORT_FILE).read_text(encoding="utf-8")))
