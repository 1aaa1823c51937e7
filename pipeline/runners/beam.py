"""The Beam flags for the chosen engine, which runs ingestion, statistics and evaluation. Imports nothing heavy.

The workers, wherever they are, must see the workspace under the same path as this machine.
"""

import importlib.util
import socket
from pathlib import Path

from pipeline.config.beam import SHIPPED_CODE, BeamConfig
from shiftvit.config import require
from shiftvit.errors import ConfigError

_SETUP = Path(__file__).parents[2] / "setup.py"
_CONNECT_SECONDS = 5.0


def arguments(config: BeamConfig) -> list[str]:
    """Returns Beam's command-line flags.

    Raises:
        ConfigError: when the engine's library is not installed, or its workers cannot get this project.
    """
    return [*_engine(config), *_project_code(config), *config.options]


def check_engine(config: BeamConfig) -> None:
    """Raises ConfigError when nothing listens at the engine's address. Beam would wait for minutes without a word."""
    host, _, port = config.address.rpartition("/")[2].rpartition(":")
    if not config.address:
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"beam.address={config.address}: nothing answers there ({error.strerror or error}); start the engine, or "
            "correct the address"
        ) from error


def _engine(config: BeamConfig) -> list[str]:
    if config.runner == "dask":
        require(
            importlib.util.find_spec("distributed") is not None,
            "beam.runner=dask: Dask is not installed; install it with `pip install shiftvit-pipeline[dask]`",
        )
    return {
        # Beam's default runner first tries to download Prism; this one is part of the package and faster here.
        "local": ["--runner=FnApiRunner"],
        "dask": [
            "--runner=pipeline.runners.dask.DaskRunner",
            f"--dask_address={config.address}",
            f"--dask_workers={config.workers}",
        ],
        "flink": ["--runner=pipeline.runners.portable.FlinkRunner", f"--flink_master={config.address}"],
        "spark": ["--runner=pipeline.runners.portable.PortableRunner", f"--job_endpoint={config.address}"],
        "dataflow": ["--runner=DataflowRunner"],
    }[config.runner]


def _project_code(config: BeamConfig) -> list[str]:
    """Returns the flags that bring this project's code to the workers."""
    if config.runner not in SHIPPED_CODE:
        # The workers have the code. Without this flag TFX would build a package of itself in each component, which
        # takes seconds.
        return ["--sdk_container_image=unused"]
    if config.image:
        shared = [f"--sdk_container_image={config.image}"]
        portable = ["--environment_type=DOCKER", f"--environment_config={config.image}"]
        return shared if config.runner == "dataflow" else portable + shared
    require(
        _SETUP.is_file(),
        f"beam.runner={config.runner} sends its workers this project, but {_SETUP} does not exist: run from a "
        "checkout, or set beam.image to an image that contains the project",
    )
    return [f"--setup_file={_SETUP}"]
