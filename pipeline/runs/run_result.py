"""The result of a run that reached its end: what it measured, and what it pushed or why not."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.runs.search import SearchSummary
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.files import atomic


@dataclass(frozen=True)
class RunResult:
    """The result of a run; that of a search alone has `search` and `machine` only.

    Attributes:
        reasons: why the model was not pushed, one sentence for each failed check; empty if it was pushed.
        metrics: as `components.evaluator.results.read_metrics` returns them.
        latency_ms: median milliseconds of a request, by its number of images.
        lite: the report of the TFLite files; empty without the LiteExport node.
        pushed_version: None if no model was pushed.
        destination: the folder of the pushed version.
        new: whether this run pushed the version; False if an earlier run did.
        search: the outcome of the search, in the result of a search alone.
        machine: as `pipeline.runs.machine.describe` returns it, and `processor_joules`.
    """

    reasons: Sequence[str] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    lite: Mapping[str, Any] = field(default_factory=dict)
    pushed_version: str | None = None
    destination: str | None = None
    new: bool = False
    search: SearchSummary | None = None
    machine: Mapping[str, Any] | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunResult":
        """Reads what `dataclasses.asdict` returns; ignores unknown keys, as a newer version may have written them."""
        names = {each.name for each in dataclasses.fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        search = known.pop("search", None)
        return cls(**known, search=SearchSummary.from_dict(search) if search else None)


def read(folder: RunFolder) -> RunResult | None:
    """Returns the result from the folder of a run, or None if the run did not get that far."""
    try:
        result = RunResult.from_dict(json.loads(folder.result.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    if result.pushed_version is None:
        return result
    serving = Workspace(folder.path.parent.parent).serving  # which may have moved since the run
    return dataclasses.replace(result, destination=str(serving / result.pushed_version))


def write(folder: RunFolder, result: RunResult) -> None:
    """Writes the result into the folder of a run."""
    atomic.write_file(folder.result, json.dumps(dataclasses.asdict(result), indent=2) + "\n")
