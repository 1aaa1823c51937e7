"""Prints what is known of runs and versions, for people. Imports no TensorFlow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from charts.formats import duration, percent
from pipeline.cli.terminal import print_table
from pipeline.reports.comparison.facts import quality, sentences
from pipeline.reports.wording import describe_lite
from pipeline.runs.results import Run
from pipeline.runs.search import SearchSummary, describe_best
from pipeline.runs.versions import Version


def print_runs(runs: Sequence[Run]) -> None:
    """Prints a line per run, oldest first."""
    if not runs:
        print("No run yet; `shiftvit run` starts the first.")
        return
    print_table(
        ("run", "preset", "source", "state", "components", "top-1", "top-5", "version", "time"),
        (_run_row(run) for run in runs),
    )


def print_versions(versions: Sequence[Version]) -> None:
    """Prints a line per pushed version, newest first."""
    if not versions:
        print("No version was pushed yet; `shiftvit run` pushes the first.")
        return
    print_table(
        ("version", "", "top-1", "run", "", "folder"),
        (
            (
                str(v.number),
                "served" if v.served else "",
                percent(v.top1),
                v.run or "unknown",
                f"rollback of {v.rollback_of}" if v.rollback_of else "",
                str(v.folder),
            )
            for v in versions
        ),
    )


def print_comparison(facts: Mapping[str, Any]) -> None:
    """Prints what differs between runs and what that did, from `pipeline.reports.comparison.facts.compare`."""
    runs = [run["id"] for run in facts["runs"]]
    if facts["settings"]:
        rows = facts["settings"].items()
        print_table(
            ("setting", *runs), ((name, *("none" if v is None else _value(v) for v in vs)) for name, vs in rows)
        )
        print()
    print_table(("on the test split", *runs), ((name, *values) for name, values in quality(facts).items()))
    print("", *sentences(facts), sep="\n")


def print_run(details: Mapping[str, Any]) -> None:
    """Prints a page on one run, from `pipeline.runs.results.examine`."""
    took = f" in {duration(details['seconds'])}" if details["seconds"] is not None else ""
    print(f"Run {details['id']}: {details['state']}{took}")
    for sentence in (details["summary"], details["message"]):
        if sentence:
            print(sentence)
    _print_section(
        "Configuration",
        _settings(details["config"]),
        f"{details['config_file']}; again with `shiftvit run --config {details['config_file']}`",
    )
    print("\nComponents")
    print_table(
        ("", "execution", "state", "time"),
        ((e["node"], str(e["id"]), e["state"], duration(e["seconds"])) for e in details["executions"]),
    )
    if details["search"]:
        _print_section("Search", _search_lines(SearchSummary.from_dict(details["search"])))
    _print_section("Lineage", (line for step in details["lineage"] for line in _lineage_lines(step)))
    if details["data"]:
        _print_section("Measured of the data", _columns({name: _figure(v) for name, v in details["data"].items()}))
    _print_measured(details)
    _print_section("Anomalies of the data", details["anomalies"] or ["none found"])
    print(f"\nLog: {details['log']}")
    if details["report"]:
        print(f"Report: {details['report']}")


def _print_measured(details: Mapping[str, Any]) -> None:
    """Prints what was measured of the model, as far as the run came."""
    metrics = details["metrics"]
    corrupted = metrics.get("corrupted_top1", {})
    sections = {
        "Metrics on the test split": _metric_figures(metrics),
        "Top-1 of each class": {name: percent(v) or "no images" for name, v in details["class_top1"].items()},
        "Top-1 under corruption": {
            name: f"{percent(found['top1'])} of {found['examples']:,} images" for name, found in corrupted.items()
        },
        "Latency on the CPU, median": {
            f"request with {count} image{'s' * (count != '1')}": f"{milliseconds:g} ms"
            for count, milliseconds in details["latency_ms"].items()
        },
        "TFLite files": describe_lite(details["lite"]),
    }
    for title, facts in sections.items():
        if facts:
            _print_section(title, _columns(facts))


def _metric_figures(metrics: Mapping[str, Any]) -> dict[str, str]:
    figures = {name: _figure(v) for name, v in metrics.items() if isinstance(v, (int, float))}
    figures |= {name: "not a number" for name, value in metrics.items() if value is None}
    if "top1_interval" in metrics:
        low, high = metrics["top1_interval"]
        figures["top1"] += f" (95% interval {low:.4g} to {high:.4g})"
    if "top1_change" in metrics:
        change = metrics["top1_change"]
        figures["top1_change"] = (
            f"{change['estimate']:+.4f} from the baseline (95% interval {change['low']:+.4f} to {change['high']:+.4f}; "
            f"{change['gained']} images gained, {change['lost']} lost)"
        )
    return figures


def _run_row(run: Run) -> tuple[str, ...]:
    facts = run.to_dict()
    metrics = facts["metrics"]
    return (
        facts["id"],
        facts["preset"] or "",
        facts["source"] or "",
        facts["state"],
        run.describe_components(),
        percent(metrics.get("top1")),
        percent(metrics.get("top5")),
        str(facts["pushed_version"] or ""),
        duration(facts["seconds"]),
    )


def _print_section(title: str, lines: Iterable[str], note: str = "") -> None:
    print(f"\n{title}{f' ({note})' if note else ''}")
    for line in lines:
        print(f"  {line}")


def _columns(facts: Mapping[str, str]) -> list[str]:
    width = max(map(len, facts), default=0)
    return [f"{name:<{width}}  {value}" for name, value in facts.items()]


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _settings(config: Mapping[str, Any]) -> list[str]:
    """Returns a line per group, as `--set` names its keys."""
    own = [f"{key}={_value(value)}" for key, value in config.items() if not isinstance(value, Mapping)]
    groups = [
        [f"{group}.{key}={_value(value)}" for key, value in keys.items()]
        for group, keys in config.items()
        if isinstance(keys, Mapping)
    ]
    return [" ".join(settings) for settings in (own, *groups) if settings]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _search_lines(search: SearchSummary) -> list[str]:
    trials = ", ".join(f"{count} {state}" for state, count in search.trials.items())
    return [
        f"trials  {trials}",
        f"best    {describe_best(search)} (trial {search.best.id})",
        f"report  {search.report}",
    ]


def _lineage_lines(step: Mapping[str, Any]) -> list[str]:
    origin = f" by {step['node']} (execution {step['execution']}, run {step['run']})" if step["node"] else ""
    sources = f" from {', '.join(f'#{source}' for source in step['from'])}" if step["from"] else ""
    facts = [f"    {name} = {value}" for name, value in sorted(step["facts"].items())]
    return [f"#{step['id']} {step['type']}{origin}{sources}", f"    {step['uri']}", *facts]
