"""Which engine runs what the graph does with Apache Beam, and the flags that Beam needs for it. Imports nothing heavy.

Beam does the ingestion, the statistics and the evaluation. Wherever its workers are, they must see the workspace under
the path that it has here.
"""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shiftvit.config import require

RUNNERS = ("local", "dask", "flink", "spark", "dataflow")

_SETUP = Path(__file__).parent.parent / "setup.py"
_ADDRESSES = {
    "dask": (r"(tcp|tls|ws|wss)://\S+:\d+", "the address of a Dask scheduler, such as tcp://10.0.0.1:8786"),
    "flink": (r"(https?://)?[^\s/:]+:\d+", "the REST address of a Flink master, such as 10.0.0.1:8081"),
    "spark": (r"[^\s/:]+:\d+", "the endpoint of Beam's Spark job server, such as 10.0.0.1:8099"),
}
_SENT_CODE = ("flink", "spark", "dataflow")  # whose workers start without this project
_NEEDED = {"dataflow": ("project", "region", "temp_location")}


@dataclass(frozen=True)
class BeamConfig:
    """Where Beam runs."""

    runner: Literal[RUNNERS] = "local"
    address: str = ""  # of the engine; Dask alone does without one, and starts workers on this host
    workers: int = 0  # that Dask starts on this host; 0: one for each core
    image: str = (
        ""  # Beam's SDK container with this project, for Flink, Spark or Dataflow; else they build from setup.py
    )
    options: tuple[str, ...] = ()  # further flags of Beam, such as --region=europe-west1

    def __post_init__(self):
        self._check_address()
        require(self.workers >= 0, "beam.workers must not be negative")
        require(
            not self.workers or (self.runner == "dask" and not self.address),
            f"beam.workers={self.workers} is how many workers Dask starts on this host: it goes with beam.runner=dask "
            "and without beam.address",
        )
        require(
            not self.image or self.runner in _SENT_CODE,
            f"beam.image={self.image} is for {', '.join(_SENT_CODE)}: workers of beam.runner={self.runner} run where "
            "this project is installed already",
        )
        self._check_options()

    def _check_address(self):
        pattern, form = _ADDRESSES.get(self.runner, ("", ""))
        require(
            not self.address or bool(pattern),
            f"beam.address={self.address} is for {', '.join(_ADDRESSES)}; beam.runner={self.runner} takes none",
        )
        require(
            bool(self.address) or self.runner not in ("flink", "spark"),
            f"beam.runner={self.runner} needs beam.address: {form}",
        )
        require(
            not self.address or bool(re.fullmatch(pattern, self.address)), f"beam.address={self.address} is not {form}"
        )

    def _check_options(self):
        for option in self.options:
            require(
                bool(re.fullmatch(r"--[A-Za-z]\w*(=.*)?", option)),
                f"beam.options: {option!r} is not a flag of Beam, --NAME or --NAME=VALUE",
            )
        given = {option.removeprefix("--").partition("=")[0] for option in self.options}
        require("runner" not in given, f"beam.options: --runner is what beam.runner is for: {', '.join(RUNNERS)}")
        missing = [f"--{name}" for name in _NEEDED.get(self.runner, ()) if name not in given]
        require(not missing, f"beam.runner={self.runner} needs {', '.join(missing)} in beam.options")


def arguments(config: BeamConfig) -> list[str]:
    """Returns the flags of Beam.

    Raises:
        ConfigError: when the engine's library is not installed, or its workers cannot be sent this project.
    """
    return [*_engine(config), *_code(config), *config.options]


def _engine(config: BeamConfig) -> list[str]:
    if config.runner == "dask":
        require(
            importlib.util.find_spec("distributed") is not None,
            "beam.runner=dask: Dask is not installed; `pip install shiftvit-pipeline[dask]` brings it",
        )
    return {
        # Beam's default runner first looks for an engine to download; this one is in the package, and the fastest here.
        "local": ["--runner=FnApiRunner"],
        "dask": [
            "--runner=pipeline.dask_runner.DaskRunner",
            f"--dask_address={config.address}",
            f"--dask_workers={config.workers}",
        ],
        "flink": ["--runner=FlinkRunner", f"--flink_master={config.address}"],
        "spark": ["--runner=PortableRunner", f"--job_endpoint={config.address}"],
        "dataflow": ["--runner=DataflowRunner"],
    }[config.runner]


def _code(config: BeamConfig) -> list[str]:
    """Returns how the workers get this project."""
    if config.runner not in _SENT_CODE:
        # They have it. Where no flag says so, TFX packs itself for them, which takes seconds in each component.
        return ["--sdk_container_image=unused"]
    if config.image:
        shared = [f"--sdk_container_image={config.image}"]
        portable = ["--environment_type=DOCKER", f"--environment_config={config.image}"]
        return shared if config.runner == "dataflow" else portable + shared
    require(
        _SETUP.is_file(),
        f"beam.runner={config.runner} sends its workers this project, and {_SETUP} is not there: run it from a "
        "checkout, or set beam.image to an image that has it",
    )
    return [f"--setup_file={_SETUP}"]
