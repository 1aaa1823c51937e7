"""`shiftvit kubeflow`: compiles, rehearses and submits the graph; writes the Job of several training workers."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from pipeline.cli.options import add_command, add_configuration, add_settings, folder_of, resolve
from pipeline.cli.output import print_json
from pipeline.graph.nodes import Node
from shiftvit.errors import NotBlessedError
from shiftvit.quiet import silence_libraries


def add(commands: Any) -> None:
    """Adds `kubeflow` and its commands to the command line."""
    parser = add_command(commands, "kubeflow", None, "run the graph on Kubeflow Pipelines 2")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_compile(commands)
    _add_rehearse(commands)
    _add_submit(commands)
    _add_worker_job(commands)


def _add_compile(commands: Any) -> None:
    parser = add_command(commands, "compile", _compile, "write the graph as a file for Kubeflow Pipelines")
    _add_output(parser)
    add_configuration(parser)


def _add_rehearse(commands: Any) -> None:
    parser = add_command(
        commands,
        "rehearse",
        _rehearse,
        "run a compiled file on this machine, under the conditions of a cluster, with data on this machine",
    )
    parser.add_argument(
        "--folder",
        metavar="DIR",
        type=Path,
        default=Path("rehearsal"),
        help="folder that stands for the cluster: object store, volumes and logs; later rehearsals reuse it "
        "(default: %(default)s)",
    )
    _add_file_and_parameters(parser)


def _add_submit(commands: Any) -> None:
    parser = add_command(commands, "submit", _submit, "run a compiled file on Kubeflow Pipelines")
    parser.add_argument(
        "--host", metavar="URL", required=True, help="address of its pages; sends $KUBEFLOW_TOKEN if it is set"
    )
    parser.add_argument("--run-name", metavar="NAME", default="", help="default: the pipeline's name and the time")
    parser.add_argument("--pipeline-name", metavar="NAME", default="", help="default: the name in the file")
    parser.add_argument("--experiment", metavar="NAME", default="", help="created if needed; default: Default")
    parser.add_argument("--namespace", metavar="NAME", default="", help="required by multi-user installations")
    parser.add_argument("--wait", action="store_true", help="wait for the run to end, and print its states")
    parser.add_argument("--json", action="store_true", help="print the run as JSON, and its states to stderr")
    _add_file_and_parameters(parser)


def _add_worker_job(commands: Any) -> None:
    parser = add_command(
        commands, "worker-job", _write_job, "write Kubernetes manifests for training on several workers"
    )
    _add_output(parser)
    parser.add_argument("--workers", metavar="N", type=int, required=True, help="number of workers that train together")
    parser.add_argument(
        "--image", metavar="NAME", help="name by which the cluster pulls the image (default: kubeflow.image)"
    )
    parser.add_argument("--name", default="shiftvit-train", help="name of the Job (default: %(default)s)")
    for name, what in (("records", "ingested records"), ("model", "SavedModel"), ("state", "state to resume from")):
        parser.add_argument(f"--{name}", metavar="DIR", required=True, help=f"folder of the {what}, in the pods")
    add_settings(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the YAML file to write")


def _add_file_and_parameters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="file written by `shiftvit kubeflow compile`")
    parser.add_argument(
        "--set-parameter",
        metavar="K=V",
        action="append",
        default=[],
        help="set a parameter of the run (data, epochs, push_destination); may be repeated",
    )


def _compile(arguments: argparse.Namespace) -> int:
    config = resolve(arguments)
    silence_libraries()
    from pipeline.runners.kubeflow.compile import compile_pipeline

    compile_pipeline(config, arguments.output)
    print(f"Wrote {arguments.output}. Rehearse it with `shiftvit kubeflow rehearse {arguments.output}`.")
    return 0


def _rehearse(arguments: argparse.Namespace) -> int:
    from pipeline.cli.terminal import make_display
    from pipeline.runners.kubeflow import pipeline_file
    from pipeline.runners.kubeflow.refused import CONCLUSION, REFUSED
    from pipeline.runners.kubeflow.rehearse import rehearse

    parameters = pipeline_file.load(arguments.file).read_parameters(arguments.set_parameter)
    with make_display() as display:
        rehearsed = rehearse(arguments.file, parameters, folder_of(arguments, "folder"), display.show)
    print(f"All steps ran. Their logs, the object store and the volumes are in {arguments.folder}.")
    if REFUSED in rehearsed.outputs:
        raise NotBlessedError(rehearsed.value(Node.PUSHER, CONCLUSION))
    return 0


def _submit(arguments: argparse.Namespace) -> int:
    from pipeline.runners.kubeflow.submit import Names, submit

    names = Names(arguments.run_name, arguments.pipeline_name, arguments.experiment, arguments.namespace)
    run = submit(arguments.file, arguments.host, arguments.set_parameter, names)
    if arguments.json:
        print_json({"name": run.name, "id": run.id, "url": run.url})
    else:
        print(f"{run.name}: {run.url}")
    sys.stdout.flush()
    if arguments.wait:
        stream = sys.stderr if arguments.json else sys.stdout
        run.wait(lambda name, state: print(f"{name}: {state.lower()}", file=stream, flush=True))
    return 0


def _write_job(arguments: argparse.Namespace) -> int:
    from pipeline.runners.kubeflow.worker_job import WorkerJob, manifests
    from pipeline.runners.kubeflow.yaml_files import write

    config = resolve(arguments)
    if arguments.image:
        config = dataclasses.replace(config, kubeflow=dataclasses.replace(config.kubeflow, image=arguments.image))
    job = WorkerJob(arguments.name, arguments.workers, arguments.records, arguments.model, arguments.state)
    write(manifests(config, job), arguments.output)
    print(f"Wrote {arguments.output}; `kubectl apply -f {arguments.output}` starts {job.workers} workers.")
    return 0
