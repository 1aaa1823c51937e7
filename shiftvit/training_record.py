"""What a training saves beside its model: the metrics of each epoch and the experiment. Imports no TensorFlow."""

import csv
import json
from pathlib import Path
from typing import Any

HISTORY_FILE = "history.csv"  # one row per epoch
EXPERIMENT_FILE = "experiment.json"  # the experiment as trained, with the hyperparameters that the search chose


def read_history(folder: Path) -> list[dict[str, float]]:
    """Returns a row per epoch, of `epoch`, from 1, and the metrics; no rows if there is no history."""
    try:
        with (folder / HISTORY_FILE).open(encoding="utf-8") as file:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    except FileNotFoundError:
        return []
    return [row | {"epoch": int(row["epoch"]) + 1} for row in rows]


def read_experiment(folder: Path) -> dict[str, Any]:
    """Returns the experiment as `config.to_dict` made it, or an empty dict if there is none."""
    try:
        return json.loads((folder / EXPERIMENT_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
