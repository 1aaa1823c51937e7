"""`shiftvit kubeflow worker-job`: writes the manifests for training on several workers."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from pipeline.cli.options import add_command, add_settings, resolve
from pipeline.runners.kubeflow.worker_job import DEFAULT_NAME, WorkerJob, manifests
from pipeline.runners.kubeflow.yaml_files import write


def add(commands: Any) -> None:
    """Adds `worker-job` to the commands of `shiftvit kubeflow`."""
    parser = add_command(commands, "worker-job", _run, "write Kubernetes manifests for training on several workers")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the YAML file to write")
    parser.add_argument("--workers", metavar="N", type=int, required=True, help="number of workers that train together")
    parser.add_argument(
        "--image", metavar="NAME", help="name by which the cluster pulls the image (default: kubeflow.image)"
    )
    parser.add_argument("--name", default=DEFAULT_NAME, help="name of the Job (default: %(default)s)")
    for name, what in (("records", "ingested records"), ("model", "SavedModel"), ("state", "state to resume from")):
        parser.add_argument(f"--{name}", metavar="DIR", required=True, help=f"folder of the {what}, in the pods")
    add_settings(parser)


def _run(arguments: argparse.Namespace) -> int:
    config = resolve(arguments)
    if arguments.image:
        config = dataclasses.replace(config, kubeflow=dataclasses.replace(config.kubeflow, image=arguments.image))
    job = WorkerJob(arguments.name, arguments.workers, arguments.records, arguments.model, arguments.state)
    write(manifests(config, job), arguments.output)
    print(f"Wrote {arguments.output}; `kubectl apply -f {arguments.output}` starts {job.workers} workers.")
    return 0
