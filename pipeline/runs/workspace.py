"""Where a workspace keeps what: the one owner of its folders and file names. Imports no TensorFlow."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.graph.nodes import PIPELINE_NAME


@dataclass(frozen=True)
class RunFolder:
    """What one run leaves behind, beside its artifacts; the folder's name is the run's id."""

    path: Path

    @property
    def id(self) -> str:
        """Sorts by the time of the start; also the pipeline_run_id in ML Metadata."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The resolved configuration, for `--config`."""
        return self.path / "config.json"

    @property
    def log(self) -> Path:
        """All that the libraries said. Locked by the run's processes for as long as one of them lives."""
        return self.path / "log.txt"

    @property
    def result(self) -> Path:
        """What came of the run, written by the process that runs the graph."""
        return self.path / "result.json"

    @property
    def outcome(self) -> Path:
        """How the run ended, written by the process that watched it: exit_code, message, seconds."""
        return self.path / "outcome.json"

    @property
    def graph(self) -> Path:
        """Which component waits for which others, written before the first one runs: a list of names by name."""
        return self.path / "graph.json"

    @property
    def predictions(self) -> Path:
        """What the model answered to each test image, and pictures: see `pipeline.runs.predictions`."""
        return self.path / "predictions.npz"

    @property
    def report(self) -> Path:
        """All that is known of the run, as a page for people."""
        return self.path / "report.html"


@dataclass(frozen=True)
class Workspace:
    """One folder that holds everything the pipeline makes."""

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
        """The state of trainings that have not ended, from which they are resumed."""
        return self.root / "training"

    @property
    def tuning(self) -> Path:
        """The state of searches, from which they are resumed, or gone on with when their budget grows."""
        return self.root / "tuning"

    @property
    def serving(self) -> Path:
        """Pushed versions in TensorFlow Serving's layout: a folder per version, the highest number is served."""
        return self.root / "serving" / PIPELINE_NAME

    @property
    def runs(self) -> Path:
        """A folder per run."""
        return self.root / "runs"

    @property
    def lock(self) -> Path:
        """Held by whoever writes here, and names them."""
        return self.root / "lock"

    def run_folders(self) -> list[RunFolder]:
        """Returns the runs, oldest first; none where there is no workspace yet."""
        if not self.runs.is_dir():
            return []
        return [RunFolder(path) for path in sorted(self.runs.iterdir()) if path.is_dir()]
