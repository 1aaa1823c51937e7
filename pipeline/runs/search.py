"""The outcome of a run's search, read from the output of its Tuner. Imports no TensorFlow."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charts.formats import count, significant
from tuner import results
from tuner.report import wording

if TYPE_CHECKING:  # lineage imports ML Metadata, which reading a result does not need
    from pipeline.runs.lineage import Execution

_OUTPUT = "tuner_results"  # the name of the output in TFX's Tuner


@dataclass(frozen=True)
class BestTrial:
    """The trial with the best score."""

    id: str
    score: float
    values: Mapping[str, Any]  # by hyperparameter


@dataclass(frozen=True)
class SearchSummary:
    """The outcome of a search."""

    objective: str
    trials: Mapping[str, int]  # their number by state
    best: BestTrial
    report: str  # path of the HTML report

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SearchSummary":
        """Reads what `dataclasses.asdict` returns."""
        return cls(**{**values, "best": BestTrial(**values["best"])})


def read_search(executions: "Iterable[Execution]") -> SearchSummary | None:
    """Returns the search of a run, or None if the run has none or its results were deleted."""
    folders = [Path(artifact.uri) for e in executions for artifact in e.outputs.get(_OUTPUT, ())]
    if not folders or not (folders[-1] / results.RESULTS_FILE).exists():
        return None
    search = results.read(folders[-1] / results.RESULTS_FILE)
    best, *_ = search.leaderboard()  # never empty: without a score the Tuner fails
    assert best.score is not None, "the leaderboard has trials with a score only"
    return SearchSummary(
        objective=search.objective,
        trials=dict(Counter(trial.state for trial in search.trials)),
        best=BestTrial(best.id, best.score, best.values),
        report=str(folders[-1] / results.REPORT_FILE),
    )


def describe_search(search: SearchSummary) -> str:
    """Returns for example `Best of 12 trials: val_top1 71.2% with train.learning_rate=0.0021; report: FILE`."""
    values = ", ".join(f"{name}={significant(value)}" for name, value in search.best.values.items())
    trials = count(sum(search.trials.values()), "trial")
    return f"Best of {trials}: {describe_best(search)} with {values}; report: {search.report}"


def describe_best(search: SearchSummary) -> str:
    """Returns for example `val_top1 71.2%` or `val_loss 0.8312`."""
    return f"{search.objective} {wording.score(search.objective, search.best.score)}"
