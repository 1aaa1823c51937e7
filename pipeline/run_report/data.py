"""The part of the report on the data: classes, pictures, what the gates measured and found."""

from collections.abc import Sequence

import numpy as np

from pipeline.evidence import Evidence
from pipeline.run_report.facts import Facts, name_of
from pipeline.run_report.pictures import picture, strip
from tuner.report.markup import definitions, element, escape, note, scrollable, section, table
from tuner.report.wording import number


def render(facts: Facts, evidence: Evidence | None) -> str:
    """Returns the section."""
    found = [element("li", escape(sentence)) for sentence in facts["anomalies"]]
    measured = {name: number(value) for name, value in facts["data"].items() if not name.endswith("_class_counts")}
    return section(
        "Data",
        _balance(facts["class_counts"], facts["class_names"]),
        _samples(facts["class_names"], evidence) if evidence else note("No pictures of this run were kept."),
        element("h3", "Anomalies"),
        element("ul", *found) if found else element("p", "None were found."),
        element("h3", "Measured by the data gate") + definitions(measured) if measured else "",
        id="data",
    )


def _balance(counts: dict[str, list[int]], names: Sequence[str]) -> str:
    if not counts:
        return note("The run did not come to count the classes.")
    totals = {split: sum(of_split) for split, of_split in counts.items()}
    rows = [
        [
            escape(name_of(names, k)),
            *(f"{counts[split][k]:,} ({counts[split][k] / totals[split]:.1%})" for split in counts),
        ]
        for k in range(len(next(iter(counts.values()))))
    ]
    rows.append(["all classes", *(f"{total:,}" for total in totals.values())])
    return table("Images of each class in each split", ["class", *counts], rows)


def _samples(names: Sequence[str], evidence: Evidence) -> str:
    rows = []
    for class_id in np.unique(evidence.sample_labels):
        images = evidence.sample_images[evidence.sample_labels == class_id]
        name = name_of(names, class_id)
        told = picture(strip(images), f"{len(images)} training images of class {name}")
        rows.append([escape(name), told])
    return element("h3", "Training images") + scrollable("Training images", _picture_table(rows))


def _picture_table(rows: Sequence[Sequence[str]]) -> str:
    body = (element("tr", element("th", name, scope="row"), element("td", told)) for name, told in rows)
    caption = element("caption", "The first images of each class, as they are stored")
    return element("table", caption, element("tbody", *body), class_="samples")
