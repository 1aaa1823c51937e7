"""The part of the report on the data: classes, pictures, what the gates measured and found."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from charts.formats import significant
from charts.markup import element, escape, note, scrollable, section, table
from pipeline.reports.run.facts import Facts, name_of
from pipeline.reports.run.pictures import picture, strip
from pipeline.runs.predictions import Predictions
from shiftvit.features import SPLITS


def render(facts: Facts, predictions: Predictions | None) -> str:
    """Returns the section."""
    return section(
        "Data",
        _balance(facts["class_counts"], facts["class_names"]),
        _samples(facts["class_names"], predictions) if predictions else note("No pictures of this run were kept."),
        element("h3", "Anomalies") + _anomalies(facts),
        _measured(facts["data"]) if facts["data"] else "",
        id="data",
    )


def _anomalies(facts: Facts) -> str:
    found = [element("li", escape(sentence)) for sentence in facts["anomalies"]]
    if found:
        return element("ul", *found)
    if facts["data"]:
        return element("p", "None were found.")
    return note("The data has not passed the data gate, or the run did not come to it; the run's message says which.")


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


def _measured(data: dict[str, Any]) -> str:
    """Returns what the data gate measured: a row each, a column for each split."""
    of_split = {
        (split, name.removeprefix(f"{split}_")): v
        for name, v in data.items()
        for split in SPLITS
        if name.startswith(f"{split}_")
    }
    names = sorted({name for _, name in of_split if name != "class_counts"})
    rows = [
        [escape(name.replace("_", " ")), *(_figure(of_split.get((split, name))) for split in SPLITS)] for name in names
    ]
    told = table("Drift is the distance from the training split", ["measure", *SPLITS], rows)
    repeated = note(f"The first duplicates: {data['first_duplicates']}.") if "first_duplicates" in data else ""
    return element("h3", "Measured by the data gate") + told + repeated


def _figure(value: Any) -> str:
    return "" if value is None else significant(value)


def _samples(names: Sequence[str], predictions: Predictions) -> str:
    rows = []
    for class_id in np.unique(predictions.sample_labels):
        images = predictions.sample_images[predictions.sample_labels == class_id]
        name = name_of(names, class_id)
        told = picture(strip(images), f"{len(images)} training images of class {name}")
        rows.append([escape(name), told])
    return element("h3", "Training images") + scrollable("Training images", _picture_table(rows))


def _picture_table(rows: Sequence[Sequence[str]]) -> str:
    body = (element("tr", element("th", name, scope="row"), element("td", told)) for name, told in rows)
    caption = element("caption", "The first images of each class, as they are stored")
    return element("table", caption, element("tbody", *body), class_="samples")
