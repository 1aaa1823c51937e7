"""The section on the search of hyperparameters."""

from charts.markup import element, escape, scrollable, section
from pipeline.reports.run.contents import ReportContents
from pipeline.runs.search import describe_search
from tuner.report import plots


def render(contents: ReportContents) -> str:
    """Returns the section; empty if the run had no search."""
    if contents.search is None or contents.details.search is None:
        return ""
    curves, settings = plots.learning_curves(contents.search), plots.parallel_coordinates(contents.search)
    return section(
        "Search",
        element("p", escape(describe_search(contents.details.search))),
        scrollable("Learning curves of the trials", curves) if curves else "",
        scrollable("Hyperparameters of the trials", settings) if settings else "",
        id="search",
    )
