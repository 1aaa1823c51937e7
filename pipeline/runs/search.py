"""What came of a run's search, as its Tuner left it, in words and as plain data. Imports no TensorFlow."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from charts.formats import count, significant
from pipeline.runs.lineage import Execution
from tuner import results

_OUTPUT = "tuner_results"  # as TFX's Tuner names it
_SHARES = ("top1", "top5")  # how the names of objectives end that are shares of 1


def read_search(executions: Iterable[Execution]) -> dict[str, Any] | None:
    """Returns the search of the run with those executions; None where it had none, or what it left is gone.

    The keys: objective; trials, the number of each state; best, with id, score and values; report, a file for people.
    """
    folders = [Path(artifact.uri) for e in executions for artifact in e.outputs.get(_OUTPUT, ())]
    if not folders or not (folders[-1] / results.RESULTS_FILE).exists():
        return None
    search = results.read(folders[-1] / results.RESULTS_FILE)
    best, *_ = search.leaderboard()  # without a single score the Tuner has failed
    return {
        "objective": search.objective,
        "trials": dict(Counter(trial.state for trial in search.trials)),
        "best": {"id": best.id, "score": best.score, "values": dict(best.values)},
        "report": str(folders[-1] / results.REPORT_FILE),
    }


def describe_search(search: Mapping[str, Any]) -> str:
    """Returns for example `Best of 12 trials: val_top1 71.2% with train.learning_rate=0.0021; report: FILE`."""
    values = ", ".join(f"{name}={significant(value)}" for name, value in search["best"]["values"].items())
    trials = count(sum(search["trials"].values()), "trial")
    return f"Best of {trials}: {describe_best(search)} with {values}; report: {search['report']}"


def describe_best(search: Mapping[str, Any]) -> str:
    """Returns for example `val_top1 71.2%` or `val_loss 0.8312`."""
    name, score = search["objective"], search["best"]["score"]
    return f"{name} {score:.1%}" if name.endswith(_SHARES) else f"{name} {score:.4g}"
