"""The sections on where the run's results come from: configuration, lineage, machine."""

from collections.abc import Mapping
from typing import Any

from charts.formats import significant
from charts.markup import breakable, definitions, element, escape, note, section, table
from pipeline.reports.run.contents import ReportContents
from pipeline.reports.settings import flatten
from pipeline.runs.lineage import Step


def render_configuration(contents: ReportContents) -> str:
    """Returns the section."""
    settings, trained = flatten(contents.run.config), flatten(contents.experiment)
    tuned = {name: value for name, value in trained.items() if settings.get(name, value) != value}
    rows = [
        [
            breakable(name),
            escape(significant(value)),
            element("mark", escape(significant(tuned[name]))) if name in tuned else "",
        ]
        for name, value in settings.items()
    ]
    all_settings = table("Settings by dotted name", ["setting", "configured", "found by the search"], rows)
    command = f"shiftvit run --config {contents.run.folder.config}"
    return section(
        "Configuration",
        element("p", "To repeat this run: ", element("code", escape(command))),
        element("p", escape(_describe_tuned(tuned))) if trained else "",
        element("details", element("summary", "All settings"), all_settings),
        id="configuration",
    )


def _describe_tuned(tuned: Mapping[str, Any]) -> str:
    if not tuned:
        return "The model was trained as configured."
    return f"The search found: {', '.join(f'{name}={significant(value)}' for name, value in tuned.items())}."


def render_lineage(contents: ReportContents) -> str:
    """Returns the section."""
    return section(
        "Lineage",
        table(
            "The result and what it was made from, back to the source",
            ["artifact", "made by", "from", "facts", "folder"],
            [_lineage_row(step) for step in contents.details.lineage],
            kind="words",
        ),
        id="lineage",
    )


def _lineage_row(step: Step) -> list[str]:
    return [
        f"#{step.artifact.id} {escape(step.artifact.type)}",
        escape(f"{step.maker.node}, run {step.maker.run}" if step.maker else ""),
        ", ".join(f"#{source.id}" for source in step.sources),
        escape("\n".join(f"{name} = {significant(value)}" for name, value in sorted(step.facts.items()))),
        escape(step.artifact.uri),
    ]


def render_machine(contents: ReportContents) -> str:
    """Returns the section."""
    machine = contents.run.result.machine if contents.run.result else None
    if machine is None:
        return section("Machine", note("Unknown: the run did not reach its end."), id="machine")
    facts = {
        "Processor": f"{machine['processor']}, {machine['cores']} cores available",
        "Memory": f"{machine['memory_bytes'] / 2**30:.1f} GiB",
        "GPUs": ", ".join(machine["gpus"]) or "none",
        "System": machine["system"],
        "Energy": _energy(machine["processor_joules"]),
        "Code fingerprint": machine["code"],
    }
    return section("Machine", definitions(facts | machine["versions"]), id="machine")


def _energy(joules: float | None) -> str:
    if joules is None:
        return "unknown: the processors' energy counters cannot be read on this machine"
    return (
        f"{joules / 3.6e6:.3f} kWh by all processors of the machine, other programs included; memory, GPUs and other "
        "parts are not measured"
    )
