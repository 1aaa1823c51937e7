"""The parts of the report on what the run was made from: configuration, lineage, machine."""

from collections.abc import Mapping
from typing import Any

from pipeline.report import flat
from pipeline.run_report.facts import Facts
from tuner.report.markup import breakable, definitions, element, escape, note, section, table
from tuner.report.wording import number


def render(facts: Facts) -> dict[str, str]:
    """Returns the sections by their ids."""
    return {"configuration": _configuration(facts), "lineage": _lineage(facts), "machine": _machine(facts["machine"])}


def _configuration(facts: Facts) -> str:
    trained = flat(facts["trained"])
    rows = [
        [breakable(name), escape(number(value)), _trained(value, trained.get(name, value))]
        for name, value in flat(facts["config"]).items()
    ]
    again = f"shiftvit run --config {facts['config_file']}"
    return section(
        "Configuration",
        element("p", "The same again: ", element("code", escape(again))),
        table("Settings by their dotted names", ["setting", "value", "found by the search"], rows),
        id="configuration",
    )


def _trained(configured: Any, trained: Any) -> str:
    return "" if trained == configured else element("mark", escape(number(trained)))


def _lineage(facts: Facts) -> str:
    rows = [
        [
            f"#{step['id']} {escape(step['type'])}",
            escape(f"{step['node']}, run {step['run']}" if step["node"] else ""),
            ", ".join(f"#{source}" for source in step["from"]),
            escape("\n".join(f"{name} = {number(value)}" for name, value in sorted(step["facts"].items()))),
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
