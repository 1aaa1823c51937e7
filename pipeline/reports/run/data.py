"""The section on the data: class counts, sample images, anomalies and the data gate's measurements."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from charts.formats import significant
from charts.markup import element, escape, note, scrollable, section, table
from components.data_gate.measurements import CLASS_COUNTS, FIRST_DUPLICATES, of_split
from pipeline.reports.run.contents import ReportContents
from pipeline.reports.run.pictures import picture, strip
from pipeline.runs.predictions import Predictions
from pipeline.runs.run import Run
from shiftvit.features import SPLITS

_LISTED = 100  # image files that were left out
_SAMPLED_CLASSES = 50  # with sample images


def render(contents: ReportContents) -> str:
    """Returns the section."""
    data, saved = contents.details.data, contents.predictions
    return section(
        "Data",
        _class_counts(contents),
        _samples(contents.run, saved) if saved else note("No images of this run were saved."),
        element("h3", "Anomalies") + _anomalies(contents),
        _bad_images(contents.details.bad_images),
        _measurements(data) if data else "",
        id="data",
    )


def _class_counts(contents: ReportContents) -> str:
    counts = contents.class_counts
    if not counts:
        return note("The run did not get as far as counting the classes.")
    totals = {split: sum(per_class) for split, per_class in counts.items()}
    classes = len(next(iter(counts.values())))
    rows = [
        [
            escape(contents.run.class_name(k)),
            *(f"{counts[split][k]:,} ({counts[split][k] / totals[split]:.1%})" for split in counts),
        ]
        for k in range(classes)
    ]
    rows.append(["all classes", *(f"{total:,}" for total in totals.values())])
    return table("Images per class and split", ["class", *counts], rows)


def _samples(run: Run, saved: Predictions) -> str:
    rows, class_ids = [], np.unique(saved.sample_labels)
    for class_id in class_ids[:_SAMPLED_CLASSES]:
        images = saved.sample_images[saved.sample_labels == class_id]
        name = run.class_name(class_id)
        rows.append([escape(name), picture(strip(images), f"{len(images)} training images of class {name}")])
    more = f"of {len(rows)} of the {len(class_ids):,} classes, " if len(rows) < len(class_ids) else "of each class, "
    return element("h3", "Training images") + scrollable("Training images", _picture_table(rows, more))


def _picture_table(rows: Sequence[Sequence[str]], classes: str) -> str:
    body = (element("tr", element("th", name, scope="row"), element("td", images)) for name, images in rows)
    caption = element("caption", f"The first images {classes}without augmentation")
    return element("table", caption, element("tbody", *body), class_="samples")


def _anomalies(contents: ReportContents) -> str:
    sentences = [element("li", escape(sentence)) for sentence in contents.details.anomalies]
    if sentences:
        return element("ul", *sentences)
    if contents.details.data:
        return element("p", "None found.")
    return note("Unknown: the run did not get past the data gate.")


def _bad_images(files: Sequence[str]) -> str:
    if not files:
        return ""
    listed = [element("li", escape(file)) for file in files[:_LISTED]]
    more = note(f"and {len(files) - _LISTED:,} more; `shiftvit show` lists all") if len(files) > _LISTED else ""
    return element("h3", "Image files left out, as they do not decode") + element("ul", *listed) + more


def _measurements(data: dict[str, Any]) -> str:
    """Returns a table with a row per measurement and a column per split."""
    by_split = {
        (split, name.removeprefix(of_split(split, ""))): value
        for name, value in data.items()
        for split in SPLITS
        if name.startswith(of_split(split, ""))
    }
    names = sorted({name for _, name in by_split if name != CLASS_COUNTS})
    rows = [
        [escape(name.replace("_", " ")), *(_figure(by_split.get((split, name))) for split in SPLITS)] for name in names
    ]
    measured = table("Drift is the distance from the training split", ["measure", *SPLITS], rows)
    duplicates = note(f"First duplicates: {data[FIRST_DUPLICATES]}.") if FIRST_DUPLICATES in data else ""
    return element("h3", "Measured by the data gate") + measured + duplicates


def _figure(value: Any) -> str:
    return "" if value is None else significant(value)
