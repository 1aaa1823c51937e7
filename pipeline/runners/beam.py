"""Which engine runs what the graph does with Apache Beam, and the flags that Beam needs for it. Imports nothing heavy.

Beam does the ingestion, the statistics and the evaluation. Wherever its workers are, they must see the workspace under
the path that it has here.
"""

import importlib.util
from pathlib import Path

from pipeline.config.beam import SENT_CODE, BeamConfig
from shiftvit.config import require

_SETUP = Path(__file__).parents[2] / "setup.py"


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
            "--runner=pipeline.runners.dask.DaskRunner",
            f"--dask_address={config.address}",
            f"--dask_workers={config.workers}",
        ],
        "flink": ["--runner=FlinkRunner", f"--flink_master={config.address}"],
        "spark": ["--runner=PortableRunner", f"--job_endpoint={config.address}"],
        "dataflow": ["--runner=DataflowRunner"],
    }[config.runner]


def _code(config: BeamConfig) -> list[str]:
    """Returns how the workers get this project."""
    if config.runner not in SENT_CODE:
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
