"""`shiftvit run` and `tune`: the commands that run the graph or a part of it. Imports nothing heavy."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.cli.options import add_command, add_configuration, add_json, add_wait, resolve
from pipeline.cli.output import fail, print_json
from pipeline.cli.train import refuse_cluster
from pipeline.config.settings import PipelineConfig
from pipeline.runs.outcome import DONE, FAILED, Outcome
from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import Workspace
from shiftvit.config import require


def add(commands: Any) -> None:
    """Adds the commands."""
    run = add_command(commands, "run", _run, "train a model, and push it if it is good enough")
    tune = add_command(commands, "tune", _tune, "search hyperparameters for a later run to train with")
    for command in (run, tune):
        add_configuration(command)
        add_json(command)
        add_wait(command)


def _run(arguments: argparse.Namespace) -> int:
    refuse_cluster("run")
    config = resolve(arguments)
    outcome = _execute(config, arguments)
    if outcome.exit_code == DONE and outcome.result is not None and not arguments.json:
        _warn_if_another_is_served(Workspace(Path(config.workspace)), outcome.result)
    return outcome.exit_code


def _tune(arguments: argparse.Namespace) -> int:
    refuse_cluster("tune")
    config = resolve(arguments)
    require(
        config.tune.trials > 0,
        "tune.trials=0 turns the search off; set the number of trials, as in --set tune.trials=12",
    )
    return _execute(config, arguments, "--search-only").exit_code


def _execute(config: PipelineConfig, arguments: argparse.Namespace, *options: str) -> Outcome:
    """Runs the graph in a process of its own, prints the outcome and returns it."""
    from pipeline.cli.terminal import make_display
    from pipeline.reports.run import document
    from pipeline.runners import preflight
    from pipeline.runners.local import launch
    from pipeline.runs import run_folder, workspace_lock, workspace_stack
    from shiftvit.processes import last_traceback

    preflight.check(config)
    workspace = Workspace(Path(config.workspace))
    workspace_stack.check(workspace)  # before it waits for a lock, and before the lock creates a workspace
    with workspace_lock.acquire(workspace, arguments.wait) as lock:
        workspace_stack.claim(workspace)
        folder = run_folder.create(config)
        lock.set_owner(f"run {folder.id}")
        with make_display() as display:
            outcome = launch.execute(folder, display.show, [*launch.CHILD, *options], lock.descriptor)
        report = document.try_write(workspace, folder)
    if arguments.json:
        print_json({"run": folder.id, **asdict(outcome)})
    if outcome.exit_code == FAILED and "debug" in arguments:
        print(last_traceback(folder.log), file=sys.stderr)
    _print_outcome(outcome, arguments.json)
    if report and not arguments.json:
        print(report)
    return outcome


def _print_outcome(outcome: Outcome, as_json: bool) -> None:
    """Prints the conclusion of a run; that of a failed one to stderr, even if stdout has the outcome as JSON."""
    from pipeline.reports.wording import conclusion

    sentence = outcome.message or (conclusion(outcome.result) if outcome.result else "the run has no result")
    if outcome.exit_code != DONE:
        fail(sentence, outcome.exit_code)
    elif not as_json:
        print(sentence)


def _warn_if_another_is_served(workspace: Workspace, result: RunResult) -> None:
    """Says so if a rollback is in effect, which a run that finds its model pushed already does not undo."""
    from components import serving_folder
    from pipeline.runs import versions

    if result.pushed_version is None:
        return
    version = int(result.pushed_version)
    numbers = serving_folder.numbers(workspace.serving)
    if version in numbers and versions.served_as(workspace, version) is None:
        print(f"Version {numbers[0]} is served instead; serve this one with `shiftvit rollback {version}`.")
