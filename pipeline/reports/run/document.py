"""The report of a run as an HTML page, which needs no other file and no network."""

import logging
import time
from pathlib import Path

from charts.formats import duration
from charts.markup import definitions, element, escape, page
from pipeline.reports.run import components, data, provenance, quality, search, training
from pipeline.reports.run.contents import ReportContents, read_contents
from pipeline.reports.run.style import STYLE
from pipeline.runs.workspace import RunFolder, Workspace
from shiftvit.files import atomic

_SECTIONS = {  # by id; a section without content is left out
    "components": ("Components", components.render),
    "data": ("Data", data.render),
    "search": ("Search", search.render),
    "training": ("Training", training.render),
    "quality": ("Quality", quality.render),
    "configuration": ("Configuration", provenance.render_configuration),
    "lineage": ("Lineage", provenance.render_lineage),
    "machine": ("Machine", provenance.render_machine),
}


def try_write(workspace: Workspace, folder: RunFolder) -> str:
    """Writes the report without ever failing.

    Returns:
        A line that says where the report is or why it was not written; empty if there is nothing to report.
    """
    try:
        path = write(workspace, folder)
    except Exception as error:
        logging.getLogger(__name__).debug("the report was not written", exc_info=True)
        return f"The report was not written: {error}; try again with `shiftvit report {folder.id}`."
    return f"Report: {path}" if path else ""


def write(workspace: Workspace, folder: RunFolder) -> Path | None:
    """Writes the report into the run's folder.

    Returns:
        The path of the report, or None if no component has run.

    Raises:
        OSError: when it cannot be written.
    """
    contents = read_contents(workspace, folder)
    if not contents.run.executions:
        return None
    atomic.write_file(folder.report, render(contents))
    return folder.report


def render(contents: ReportContents) -> str:
    """Returns the report as an HTML document."""
    sections = {section_id: render_section(contents) for section_id, (_, render_section) in _SECTIONS.items()}
    shown = {section_id: markup for section_id, markup in sections.items() if markup}
    links = (element("li", element("a", _SECTIONS[section_id][0], href=f"#{section_id}")) for section_id in shown)
    navigation = element("nav", element("ul", *links), aria_label="Contents")
    skip_link = element("a", "Skip to the report", href="#main", class_="skip")
    body = "\n".join([_headline(contents), navigation, *shown.values()])
    return page(f"Run {contents.run.folder.id}", body, STYLE, skip_link)


def _headline(contents: ReportContents) -> str:
    run = contents.run
    sentences = [sentence for sentence in (contents.details.summary, run.message) if sentence]
    facts = {
        "State": run.state,
        "Preset": run.config.get("preset"),
        "Data": run.config.get("source"),
        "Started": _date(contents.started),
        "Duration": duration(run.seconds),
    }
    return element(
        "header",
        element("h1", escape(f"Run {run.folder.id}")),
        *(element("p", escape(sentence), class_="headline") for sentence in dict.fromkeys(sentences)),
        definitions({name: value for name, value in facts.items() if value}),
    )


def _date(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(seconds)) if seconds else ""
