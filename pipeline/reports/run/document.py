"""Puts the report together, writes it, and says so."""

import logging
import time
from pathlib import Path

from charts.formats import duration
from charts.markup import definitions, element, escape, page
from pipeline.reports.run import components, data, provenance, quality, training
from pipeline.reports.run.facts import Facts, collect
from pipeline.reports.run.style import STYLE
from pipeline.runs import predictions as saved_predictions
from pipeline.runs.predictions import Predictions
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.files import atomic

_TITLES = {
    "components": "Components",
    "data": "Data",
    "search": "Search",
    "training": "Training",
    "quality": "Quality",
    "configuration": "Configuration",
    "lineage": "Lineage",
    "machine": "Machine",
}


def attempt(workspace: Workspace, folder: RunFolder) -> str:
    """Writes the report if there is something to show; returns a line on it, also on why there is none. Never fails."""
    try:
        path = write(workspace, folder)
    except Exception as error:
        logging.getLogger(__name__).debug("no report", exc_info=True)
        return f"No report was made: {error}; `shiftvit report {folder.id}` tries again."
    return f"Report: {path}" if path else ""


def write(workspace: Workspace, folder: RunFolder) -> Path | None:
    """Writes the report into the run's folder and returns its path; None where no component has run.

    Raises:
        OSError: when it cannot be written.
    """
    kept = saved_predictions.load(folder.predictions)
    facts = collect(workspace, folder, kept)
    if not facts["executions"]:
        return None
    atomic.write_file(folder.report, render(facts, kept))
    return folder.report


def render(facts: Facts, predictions: Predictions | None) -> str:
    """Returns the report as an HTML document."""
    sections = {
        "components": components.render(facts),
        "data": data.render(facts, predictions),
        "search": training.render_search(facts),
        "training": training.render_training(facts),
        "quality": quality.render(facts, predictions),
        **provenance.render(facts),
    }
    shown = {name: markup for name, markup in sections.items() if markup}
    links = (element("li", element("a", _TITLES[name], href=f"#{name}")) for name in shown)
    contents = element("nav", element("ul", *links), aria_label="Contents")
    skip = element("a", "Skip to the report", href="#main", class_="skip")
    return page(f"Run {facts['id']}", "\n".join([_headline(facts), contents, *shown.values()]), STYLE, skip)


def _headline(facts: Facts) -> str:
    sentences = [sentence for sentence in (facts["summary"], facts["message"]) if sentence]
    told = {
        "State": facts["state"],
        "Preset": facts["preset"] or "",
        "Data": facts["source"] or "",
        "Started": _date(facts["started"]),
        "Time": duration(facts["seconds"]),
    }
    return element(
        "header",
        element("h1", escape(f"Run {facts['id']}")),
        *(element("p", escape(sentence), class_="headline") for sentence in dict.fromkeys(sentences)),
        definitions({name: value for name, value in told.items() if value}),
    )


def _date(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(seconds)) if seconds else ""
