"""`shiftvit kubeflow worker-job`."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from pipeline.cli import help_examples
from pipeline.cli.options import add_command, add_settings, resolve
from pipeline.runners.kubeflow.worker_job import DEFAULT_NAME, WorkerJob, manifests
from pipeline.runners.kubeflow.yaml_files import write


def add(commands: Any) -> None:
    """Adds `worker-job` to those of `shiftvit kubeflow`."""
    parser = add_command(
        commands,
        "worker-job",
        _run,
        "write the manifests of a training on several workers",
        epilog=help_examples.KUBEFLOW_WORKER_JOB,
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="file to write, as YAML")
    parser.add_argument("--workers", metavar="N", type=int, required=True, help="how many train together")
    parser.add_argument("--image", metavar="NAME", help="by which the cluster pulls it (default: kubeflow.image)")
    parser.add_argument("--name", default=DEFAULT_NAME, help="of the Job (default: %(default)s)")
    for name, what in (("records", "ingested records"), ("model", "the SavedModel"), ("state", "state to resume from")):
        parser.add_argument(f"--{name}", metavar="DIR", required=True, help=f"folder of the {what}, in the pods")
    add_settings(parser)


def _run(arguments: argparse.Namespace) -> int:
    """Writes the file.

    Raises:
        ConfigError: when no such Job could train, or the file cannot be written.
    """
    config = resolve(arguments)
    if arguments.image:
        config = dataclasses.replace(config, kubeflow=dataclasses.replace(config.kubeflow, image=arguments.image))
    job = WorkerJob(arguments.name, arguments.workers, arguments.records, arguments.model, arguments.state)
    write(manifests(config, job), arguments.output)
    print(f"Wrote {arguments.output}; `kubectl apply -f {arguments.output}` starts {job.workers} workers.")
    return 0
