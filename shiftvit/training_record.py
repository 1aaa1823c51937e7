"""What a training leaves beside its model: the history of its metrics and the experiment. Imports no TensorFlow."""

import csv
import json
from pathlib import Path
from typing import Any

HISTORY_FILE = "history.csv"  # a row for each epoch
EXPERIMENT_FILE = "experiment.json"  # the configuration that was trained, with the search's hyperparameters


def read_history(folder: Path) -> list[dict[str, float]]:
    """Returns a row for each epoch: `epoch`, from 1, and the metrics; none where there is no history."""
    try:
        with (folder / HISTORY_FILE).open() as file:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    except FileNotFoundError:
        return []
    return [row | {"epoch": int(row["epoch"]) + 1} for row in rows]


def read_experiment(folder: Path) -> dict[str, Any]:
    """Returns the experiment as plain data, as `to_dict` gives it; empty where there is none."""
    try:
        return json.loads((folder / EXPERIMENT_FILE).read_text())
    except FileNotFoundError:
        return {}
