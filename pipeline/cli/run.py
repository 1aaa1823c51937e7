"""`shiftvit run`, `tune` and `data`: the commands that run the graph or a part of it. Imports nothing heavy."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from pipeline.cli import help_examples
from pipeline.cli.options import add_command, add_configuration, add_json, add_wait, resolve
from pipeline.cli.output import fail, print_json
from pipeline.cli.train import refuse_cluster
from pipeline.config.settings import PipelineConfig
from pipeline.runs.run_result import RunResult
from pipeline.runs.workspace import Workspace
from shiftvit.config import require
from shiftvit.quiet import hush_libraries


def add(commands: Any) -> None:
    """Adds the commands."""
    run = add_command(
        commands,
        "run",
        _run,
        "train a model on a data source and push it, if it is good enough",
        epilog=help_examples.RUN,
    )
    tune = add_command(
        commands, "tune", _tune, "search hyperparameters, for a later run to train with", epilog=help_examples.TUNE
    )
    data = add_command(
        commands, "data", _data, "fetch or check a data source without training", epilog=help_examples.DATA
    )
    for command in (run, tune, data):
        add_configuration(command)
        add_json(command)
    for command in (run, tune):
        add_wait(command)


def _run(arguments: argparse.Namespace) -> int:
    refuse_cluster("run")
    config = resolve(arguments)
    exit_code, result = _execute(config, arguments)
    if exit_code == 0 and result and not arguments.json:
        _warn_if_another_is_served(Workspace(Path(config.workspace)), result)
    return exit_code


def _tune(arguments: argparse.Namespace) -> int:
    refuse_cluster("tune")
    config = resolve(arguments)
    require(
        config.tune.trials > 0,
        "tune.trials=0 leaves the search out; set it to how many settings are to be tried, as in --set tune.trials=12",
    )
    exit_code, _ = _execute(config, arguments, "--search-only")
    return exit_code


def _execute(config: PipelineConfig, arguments: argparse.Namespace, *options: str) -> tuple[int, RunResult | None]:
    """Runs the graph in a process of its own and prints the outcome; returns the exit code and the result."""
    from pipeline.cli.terminal import make_display
    from pipeline.reports.run.document import attempt
    from pipeline.reports.wording import conclusion
    from pipeline.runners.local import launch
    from pipeline.runs import run_folder
    from pipeline.runs.outcome import DONE
    from pipeline.runs.workspace_lock import writing

    workspace = Workspace(Path(config.workspace))
    with writing(workspace, arguments.wait) as hold:
        folder = run_folder.create(config)
        hold.sign(f"run {folder.id}")
        with make_display() as display:
            outcome = launch.execute(folder, display.show, [*launch.CHILD, *options], hold.descriptor)
        report = attempt(workspace, folder)
    summary = conclusion(outcome.result) if outcome.result else ""
    if arguments.json:
        print_json({"run": folder.id, **dataclasses.asdict(outcome)})
    elif outcome.exit_code == DONE:
        print(summary)
    if outcome.exit_code != DONE:
        fail(outcome.message or summary, outcome.exit_code)
    if report and not arguments.json:
        print(report)
    return outcome.exit_code, outcome.result


def _warn_if_another_is_served(workspace: Workspace, result: RunResult) -> None:
    """A run that finds its model pushed before does not undo a rollback."""
    from components import serving_folder
    from pipeline.runs import versions

    version = int(result.pushed_version or 0)
    numbers = serving_folder.numbers(workspace.serving)
    if version in numbers and versions.served_as(workspace, version) is None:
        print(f"Version {numbers[0]} is served instead of it; `shiftvit rollback {version}` changes that.")


def _data(arguments: argparse.Namespace) -> int:
    from pipeline.cli.terminal import show_stage
    from pipeline.runs.events import SOURCE

    config = resolve(arguments)
    hush_libraries()
    with show_stage(SOURCE):
        from pipeline.sources.prepare import prepare

        source = prepare(config)
    if arguments.json:
        return print_json({**dataclasses.asdict(source), "folder": str(source.folder)})
    facts = {
        "kind": source.kind,
        "location": source.location,
        "sha256": f"{source.sha256} ({'as published' if source.published else 'not a published checksum'})",
        "images": ", ".join(f"{split} {count:,}" for split, count in source.counts.items()),
        "classes": ", ".join(source.class_names),
        "prepared in": str(source.folder),
    }
    for name, value in facts.items():
        print(f"{name:<12} {value}")
    return 0
