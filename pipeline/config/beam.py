"""Where Apache Beam runs."""

import re
from dataclasses import dataclass
from typing import Literal

from shiftvit.config import require

RUNNERS = ("local", "dask", "flink", "spark", "dataflow")


_ADDRESSES = {
    "dask": (r"(tcp|tls|ws|wss)://\S+:\d+", "the address of a Dask scheduler, such as tcp://10.0.0.1:8786"),
    "flink": (r"(https?://)?[^\s/:]+:\d+", "the REST address of a Flink master, such as 10.0.0.1:8081"),
    "spark": (r"[^\s/:]+:\d+", "the endpoint of Beam's Spark job server, such as 10.0.0.1:8099"),
}


SENT_CODE = ("flink", "spark", "dataflow")  # whose workers start without this project


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
            not self.image or self.runner in SENT_CODE,
            f"beam.image={self.image} is for {', '.join(SENT_CODE)}: workers of beam.runner={self.runner} run where "
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
