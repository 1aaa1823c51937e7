"""The parts of the report on what the run was made from: configuration, lineage, machine."""

from collections.abc import Mapping
from typing import Any

from charts.formats import significant
from charts.markup import breakable, definitions, element, escape, note, section, table
from pipeline.reports.run.facts import Facts
from pipeline.runs.results import flat


def render(facts: Facts) -> dict[str, str]:
    """Returns the sections by their ids."""
    return {"configuration": _configuration(facts), "lineage": _lineage(facts), "machine": _machine(facts["machine"])}


def _configuration(facts: Facts) -> str:
    settings, trained = flat(facts["config"]), flat(facts["trained"])
    found = {name: value for name, value in trained.items() if settings.get(name, value) != value}
    rows = [
        [
            breakable(name),
            escape(significant(value)),
            element("mark", escape(significant(found[name]))) if name in found else "",
        ]
        for name, value in settings.items()
    ]
    told = table("Settings by their dotted names", ["setting", "configured", "found by the search"], rows)
    return section(
        "Configuration",
        element("p", "The same again: ", element("code", escape(f"shiftvit run --config {facts['config_file']}"))),
        element("p", escape(_describe_found(found))) if trained else "",
        element("details", element("summary", "All settings"), told),
        id="configuration",
    )


def _describe_found(found: Mapping[str, Any]) -> str:
    if not found:
        return "The model was trained as configured."
    return f"The search found: {', '.join(f'{name}={significant(value)}' for name, value in found.items())}."


def _lineage(facts: Facts) -> str:
    rows = [
        [
            f"#{step['id']} {escape(step['type'])}",
            escape(f"{step['node']}, run {step['run']}" if step["node"] else ""),
            ", ".join(f"#{source}" for source in step["from"]),
            escape("\n".join(f"{name} = {significant(value)}" for name, value in sorted(step["facts"].items()))),
            escape(step["uri"]),
        ]
        for step in facts["lineage"]
    ]
    headings = ["artifact", "made by", "from", "facts", "place"]
    return section(
        "Lineage", table("From what the run made back to the source", headings, rows, kind="words"), id="lineage"
    )


def _machine(machine: Mapping[str, Any] | None) -> str:
    if machine is None:
        return section("Machine", note("The run did not come to note what it ran on."), id="machine")
    told = {
        "Processor": f"{machine['processor']}, {machine['cores']} cores for this run",
        "Memory": f"{machine['memory_bytes'] / 2**30:.1f} GiB",
        "Graphics cards": ", ".join(machine["gpus"]) or "none",
        "System": machine["system"],
        "Energy": _energy(machine["processor_joules"]),
        "Code": machine["code"],
    }
    return section("Machine", definitions(told | machine["versions"]), id="machine")


def _energy(joules: float | None) -> str:
    if joules is None:
        return "not known: this machine does not let a run read what it takes"
    return (
        f"{joules / 3.6e6:.3f} kWh by the processors of the machine, with all else that ran on them; memory, graphics "
        "cards and the rest are not in it"
    )
