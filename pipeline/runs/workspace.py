"""The paths in a workspace; no other module knows its folder and file names. Imports no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.graph.nodes import PIPELINE_NAME


@dataclass(frozen=True)
class RunFolder:
    """What one run leaves beside its artifacts; the folder's name is the run's id."""

    path: Path

    @property
    def id(self) -> str:
        """The time of the start, so that ids sort by it; also the pipeline_run_id in ML Metadata."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The resolved configuration, for `--config`."""
        return self.path / "config.json"

    @property
    def log(self) -> Path:
        """The libraries' output. The run's processes lock it: see `pipeline.runs.run_folder.is_alive`."""
        return self.path / "log.txt"

    @property
    def result(self) -> Path:
        """The result, written by the process that runs the graph: see `pipeline.runs.run_result`."""
        return self.path / "result.json"

    @property
    def outcome(self) -> Path:
        """The outcome, written by the process that watches the run: see `pipeline.runs.outcome`."""
        return self.path / "outcome.json"

    @property
    def graph(self) -> Path:
        """The ids of each node's upstream nodes, by node id, written before the first node runs."""
        return self.path / "graph.json"

    @property
    def predictions(self) -> Path:
        """The model's answers to the test images, and sample images: see `pipeline.runs.predictions`."""
        return self.path / "predictions.npz"

    @property
    def report(self) -> Path:
        """The report of the run, an HTML page: see `pipeline.reports.run`."""
        return self.path / "report.html"


@dataclass(frozen=True)
class Workspace:
    """The folder that holds everything the pipeline makes."""

    root: Path

    @property
    def metadata(self) -> Path:
        """The ML Metadata store (SQLite)."""
        return self.root / "metadata.sqlite"

    @property
    def artifacts(self) -> Path:
        """TFX's pipeline root."""
        return self.root / "artifacts"

    @property
    def training(self) -> Path:
        """Checkpoints of unfinished trainings, from which they resume."""
        return self.root / "training"

    @property
    def tuning(self) -> Path:
        """State of searches, from which they resume, or continue with a larger budget."""
        return self.root / "tuning"

    @property
    def sources(self) -> Path:
        """A folder per prepared source: see `pipeline.sources.prepare`, which comes before this package."""
        return self.root / "sources"

    @property
    def serving(self) -> Path:
        """Pushed versions in TensorFlow Serving's layout: a folder per version; the highest number is served."""
        return self.root / "serving" / PIPELINE_NAME

    @property
    def runs(self) -> Path:
        """A folder per run."""
        return self.root / "runs"

    @property
    def stack(self) -> Path:
        """The name of the software stack whose runs are here: see `pipeline.runs.workspace_stack`."""
        return self.root / "stack"

    @property
    def lock(self) -> Path:
        """Locked by the process that writes in the workspace; names it."""
        return self.root / "lock"

    def run_folders(self) -> list[RunFolder]:
        """Returns the runs, oldest first; an empty list if the workspace does not exist."""
        if not self.runs.is_dir():
            return []
        return [RunFolder(path) for path in sorted(self.runs.iterdir()) if path.is_dir()]
