"""The Beam flags for the chosen engine, which runs ingestion, statistics and evaluation. Imports nothing heavy.

The workers, wherever they are, must see the workspace under the same path as this machine.
"""

import importlib.util
from pathlib import Path

from pipeline.config.beam import SHIPPED_CODE, BeamConfig
from shiftvit.config import require

_SETUP = Path(__file__).parents[2] / "setup.py"


def arguments(config: BeamConfig) -> list[str]:
    """Returns Beam's command-line flags.

    Raises:
        ConfigError: when the engine's library is not installed, or its workers cannot get this project.
    """
    return [*_engine(config), *_project_code(config), *config.options]


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
        "flink": ["--runner=FlinkRunner", f"--flink_master={config.address}"],
        "spark": ["--runner=PortableRunner", f"--job_endpoint={config.address}"],
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
