"""`shiftvit kubeflow`: compiles the graph, rehearses it on this machine, and submits it. Imports nothing heavy."""

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli import help_examples, worker_job
from pipeline.cli.options import add_command, add_configuration, resolve
from shiftvit.errors import NotBlessedError
from shiftvit.quiet import hush_libraries

if TYPE_CHECKING:
    from pipeline.runners.kubeflow.rehearse import Rehearsed


def add(commands: Any) -> None:
    """Adds `kubeflow` and its commands to those of the command line."""
    parser = add_command(
        commands, "kubeflow", None, "run the graph on Kubeflow Pipelines 2", epilog=help_examples.KUBEFLOW
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    compiling = add_command(
        commands,
        "compile",
        _compile,
        "write the graph as a file for Kubeflow Pipelines",
        epilog=help_examples.KUBEFLOW_COMPILE,
    )
    compiling.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the YAML file to write")
    add_configuration(compiling)

    rehearsing = add_command(
        commands,
        "rehearse",
        _rehearse,
        "run a compiled file on this machine, under what a cluster does to each step, with data of this machine",
        epilog=help_examples.KUBEFLOW_REHEARSE,
    )
    rehearsing.add_argument(
        "--folder",
        metavar="DIR",
        type=Path,
        default=Path("rehearsal"),
        help="stands for the cluster: object store, volumes and logs, for this rehearsal and later ones "
        "(default: %(default)s)",
    )

    submitting = add_command(
        commands, "submit", _submit, "have Kubeflow Pipelines run a compiled file", epilog=help_examples.KUBEFLOW_SUBMIT
    )
    submitting.add_argument(
        "--host", metavar="URL", required=True, help="address of its pages; $KUBEFLOW_TOKEN is sent, if it is set"
    )
    submitting.add_argument("--run-name", metavar="NAME", default="", help="default: the pipeline's name and the time")
    submitting.add_argument("--pipeline-name", metavar="NAME", default="", help="default: the name in the file")
    submitting.add_argument("--experiment", metavar="NAME", default="", help="made, if need be; default: Default")
    submitting.add_argument("--namespace", metavar="NAME", default="", help="needed where it serves many users")
    submitting.add_argument("--wait", action="store_true", help="return when the run has ended, and tell how")
    submitting.add_argument(
        "--json", action="store_true", help="print the run as JSON; with --wait, its steps on stderr"
    )

    for command in (rehearsing, submitting):
        command.add_argument("file", metavar="FILE", type=Path, help="what `shiftvit kubeflow compile` wrote")
        command.add_argument(
            "--set-parameter",
            metavar="K=V",
            action="append",
            default=[],
            help="set a parameter of this run (data, epochs, push_destination); may be repeated",
        )
    worker_job.add(commands)


def _compile(arguments: argparse.Namespace) -> int:
    config = resolve(arguments)
    hush_libraries()
    from pipeline.runners.kubeflow.compile import compile_pipeline

    compile_pipeline(config, arguments.output)
    print(f"{arguments.output}: to be rehearsed with `shiftvit kubeflow rehearse {arguments.output}`")
    return 0


def _rehearse(arguments: argparse.Namespace) -> int:
    from pipeline.cli.terminal import make_display
    from pipeline.runners.kubeflow import pipeline_file
    from pipeline.runners.kubeflow.rehearse import rehearse

    parameters = pipeline_file.load(arguments.file).read_parameters(arguments.set_parameter)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the steps end with us
    with make_display() as display:
        rehearsed = rehearse(arguments.file, parameters, arguments.folder, display)
    if "Pusher" in rehearsed.outputs and not rehearsed.metadata("Pusher", "pushed_model")["pushed"]:
        raise NotBlessedError(f"every step ran, but the model was not blessed, so not pushed: {_refusal(rehearsed)}")
    print(f"Every step ran; {arguments.folder} has their logs, the object store and the volumes.")
    return 0


def _refusal(rehearsed: "Rehearsed") -> str:
    """Returns why the model of a rehearsal was not blessed."""
    hush_libraries()
    from components.canary import executor as canary
    from components.evaluator.explain import explain

    class_names = json.loads(rehearsed.metadata("Cifar10ExampleGen", "examples")["class_names"])
    reasons = explain(str(rehearsed.path("Evaluator", "evaluation")), class_names)
    if not rehearsed.metadata("Canary", "blessing")["blessed"]:
        reasons.append(canary.explain(str(rehearsed.path("Canary", "blessing"))))
    return "; ".join(reasons)


def _submit(arguments: argparse.Namespace) -> int:
    from pipeline.runners.kubeflow.submit import Names, submit

    names = Names(arguments.run_name, arguments.pipeline_name, arguments.experiment, arguments.namespace)
    run = submit(arguments.file, arguments.host, arguments.set_parameter, names)
    facts = {"name": run.name, "id": run.id, "url": run.url}
    print(json.dumps(facts, indent=2) if arguments.json else f"{run.name}: {run.url}", flush=True)
    if arguments.wait:
        told = sys.stderr if arguments.json else sys.stdout
        run.wait(lambda name, state: print(f"{name}: {state.lower()}", file=told, flush=True))
    return 0
