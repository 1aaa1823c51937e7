"""Where Apache Beam runs. Imports nothing heavy."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from pipeline.config.image import FORM, is_image
from shiftvit.config import require
from shiftvit.ranges import check_ranges, number

Runner = Literal["local", "dask", "flink", "spark", "dataflow"]
RUNNERS: tuple[Runner, ...] = get_args(Runner)
SHIPPED_CODE: tuple[Runner, ...] = ("flink", "spark", "dataflow")  # engines whose workers start without this project

_ADDRESSES = {  # pattern and description of the address that an engine takes
    "dask": (r"(tcp|tls|ws|wss)://\S+:\d+", "the address of a Dask scheduler, such as tcp://10.0.0.1:8786"),
    "flink": (r"(https?://)?[^\s/:]+:\d+", "the REST address of a Flink master, such as 10.0.0.1:8081"),
    "spark": (r"[^\s/:]+:\d+", "the endpoint of Beam's Spark job server, such as 10.0.0.1:8099"),
}
_REQUIRED_OPTIONS = {"dataflow": ("project", "region", "temp_location")}


@dataclass(frozen=True)
class BeamConfig:
    """The engine that runs Apache Beam, and its workers."""

    runner: Runner = "local"  # the engine
    address: str = ""  # of the engine; required for Flink and Spark; empty for Dask: start workers on this host
    workers: int = number(0, 0, 10_000)  # Dask workers to start on this host; 0: one per core
    image: str = ""  # Beam SDK image with this project, for Flink, Spark or Dataflow; empty: built from setup.py
    options: tuple[str, ...] = ()  # further Beam flags, such as --region=europe-west1

    def __post_init__(self) -> None:
        check_ranges(self, "beam")
        self._check_address()
        require(
            not self.workers or (self.runner == "dask" and not self.address),
            f"beam.workers={self.workers} is the number of workers that Dask starts on this host: it needs "
            "beam.runner=dask without beam.address",
        )
        require(
            not self.image or self.runner in SHIPPED_CODE,
            f"beam.image={self.image} is for {', '.join(SHIPPED_CODE)}: workers of beam.runner={self.runner} run where "
            "this project is already installed",
        )
        require(not self.image or is_image(self.image), f"beam.image={self.image!r} is not {FORM}")
        self._check_options()

    @property
    def has_workers_elsewhere(self) -> bool:
        """Whether workers may run on other machines or in containers, rather than in processes of this machine."""
        return bool(self.image) or self.runner == "dataflow" or (self.runner == "dask" and bool(self.address))

    def _check_address(self) -> None:
        pattern, description = _ADDRESSES.get(self.runner, ("", ""))
        require(
            not self.address or pattern,
            f"beam.address={self.address} is for {', '.join(_ADDRESSES)}; beam.runner={self.runner} takes none",
        )
        require(
            self.address or self.runner not in ("flink", "spark"),
            f"beam.runner={self.runner} needs beam.address: {description}",
        )
        require(
            not self.address or re.fullmatch(pattern, self.address), f"beam.address={self.address} is not {description}"
        )

    def _check_options(self) -> None:
        for option in self.options:
            require(
                re.fullmatch(r"--[A-Za-z]\w*(=.*)?", option),
                f"beam.options: {option!r} is not a Beam flag, --NAME or --NAME=VALUE",
            )
        names = {option.removeprefix("--").partition("=")[0] for option in self.options}
        require("runner" not in names, f"beam.options: set beam.runner instead of --runner: {', '.join(RUNNERS)}")
        missing = [f"--{name}" for name in _REQUIRED_OPTIONS.get(self.runner, ()) if name not in names]
        require(not missing, f"beam.runner={self.runner} needs {', '.join(missing)} in beam.options")
