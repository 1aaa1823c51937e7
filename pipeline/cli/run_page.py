"""What `shiftvit show` prints. Imports no TensorFlow."""

from collections.abc import Iterable, Mapping
from typing import Any

from charts.formats import count, duration, percent
from pipeline.cli.output import print_table
from pipeline.reports.details import RunDetails
from pipeline.reports.wording import describe_lite, format_metrics
from pipeline.runs.lineage import Step
from pipeline.runs.search import SearchSummary, describe_best
from shiftvit.metrics import F1, PRECISION, TITLES, TOP1


def print_run(details: RunDetails) -> None:
    """Prints everything known of a run, section by section."""
    run = details.run
    time = f" in {duration(run.seconds)}" if run.seconds is not None else ""
    print(f"Run {run.folder.id}: {run.state}{time}")
    for sentence in (details.summary, run.message):
        if sentence:
            print(sentence)
    config = run.folder.config
    _print_section("Configuration", _settings(run.config), f"{config}; repeat with `shiftvit run --config {config}`")
    print("\nComponents")
    print_table(
        ("", "execution", "state", "time"), ((e.node, str(e.id), e.state, duration(e.seconds)) for e in run.executions)
    )
    if details.search:
        _print_section("Search", _search_lines(details.search))
    _print_section("Lineage", (line for step in details.lineage for line in _lineage_lines(step)))
    if details.data:
        _print_section("Data gate", _columns({name: _figure(value) for name, value in details.data.items()}))
    _print_quality(details)
    _print_section("Anomalies of the data", details.anomalies or ["none found"])
    if details.bad_images:
        _print_section("Image files left out", details.bad_images)
    print(f"\nLog: {run.folder.log}")
    if run.folder.report.exists():
        print(f"Report: {run.folder.report}")


def _print_quality(details: RunDetails) -> None:
    run = details.run
    result, top1 = run.result, TITLES[TOP1].capitalize()
    sections = {
        "Metrics on the test split": format_metrics(run.metrics),
        f"{top1} (recall), precision and F1 per class": _class_scores(details),
        f"{top1} under corruption": {
            name: f"{percent(corrupted[TOP1])} of {corrupted['examples']:,} images"
            for name, corrupted in run.metrics.get("corrupted_top1", {}).items()
        },
        "Median latency on the CPU": {
            f"request with {count(int(images), 'image')}": f"{milliseconds:g} ms"
            for images, milliseconds in (result.latency_ms if result else {}).items()
        },
        "TFLite files": describe_lite(result.lite if result else {}),
    }
    for title, figures in sections.items():
        if figures:
            _print_section(title, _columns(figures))


def _class_scores(details: RunDetails) -> dict[str, str]:
    """Returns the scores of each class by its name, in columns."""
    precision, f1 = details.of_classes(PRECISION), details.of_classes(F1)
    return {
        name: f"{percent(top1) or 'no images':<9}  {percent(precision.get(name)):<6}  {percent(f1.get(name))}".rstrip()
        for name, top1 in details.of_classes(TOP1).items()
    }


def _print_section(title: str, lines: Iterable[str], note: str = "") -> None:
    print(f"\n{title}{f' ({note})' if note else ''}")
    for line in lines:
        print(f"  {line}")


def _columns(figures: Mapping[str, str]) -> list[str]:
    width = max(map(len, figures), default=0)
    return [f"{name:<{width}}  {value}" for name, value in figures.items()]


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _settings(config: Mapping[str, Any]) -> list[str]:
    """Returns a line per group of settings, with names and values as `--set` takes them."""
    ungrouped = [f"{key}={write_setting(value)}" for key, value in config.items() if not isinstance(value, Mapping)]
    groups = [
        [f"{group}.{key}={write_setting(value)}" for key, value in keys.items()]
        for group, keys in config.items()
        if isinstance(keys, Mapping)
    ]
    return [" ".join(settings) for settings in (ungrouped, *groups) if settings]


def write_setting(value: Any) -> str:
    """Returns the value as `--set` takes it."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _search_lines(search: SearchSummary) -> list[str]:
    trials = ", ".join(f"{number} {state}" for state, number in search.trials.items())
    return [
        f"trials  {trials}",
        f"best    {describe_best(search)} (trial {search.best.id})",
        f"report  {search.report}",
    ]


def _lineage_lines(step: Step) -> list[str]:
    maker = step.maker
    origin = f" by {maker.node} (execution {maker.id}, run {maker.run})" if maker else ""
    sources = f" from {', '.join(f'#{source.id}' for source in step.sources)}" if step.sources else ""
    facts = [f"    {name} = {value}" for name, value in sorted(step.facts.items())]
    return [f"#{step.artifact.id} {step.artifact.type}{origin}{sources}", f"    {step.artifact.uri}", *facts]
