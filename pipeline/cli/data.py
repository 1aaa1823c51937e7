"""`shiftvit data`: what a data source holds. Imports nothing heavy."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.cli.options import add_command, add_configuration, add_json, resolve
from pipeline.cli.output import print_json, print_table
from shiftvit.quiet import silence_libraries

if TYPE_CHECKING:
    from pipeline.sources.prepare import Source
    from pipeline.sources.summary import Summary

_NAMED, _SHOWN_CLASSES = 10, 30  # classes in the list of names; in the table
_SHOWN_FILES = 10  # of those that are no images


def add(commands: Any) -> None:
    """Adds the command."""
    data = add_command(commands, "data", _data, "fetch and check a data source, and show what it holds")
    add_configuration(data)
    add_json(data)


def _data(arguments: argparse.Namespace) -> int:
    from pipeline.cli.terminal import show_stage
    from pipeline.runs.events import SOURCE

    config = resolve(arguments)
    silence_libraries()
    with show_stage(SOURCE):
        from pipeline.sources.prepare import prepare
        from pipeline.sources.summary import summarise

        source = prepare(config)
        summary = summarise(source)
    if arguments.json:
        place = {"location": config.source, "folder": str(source.folder), "skipped": dict(source.skipped)}
        return print_json(asdict(source.identity) | place | asdict(summary))
    for name, value in _lines(config.source, source, summary):
        print(f"{name:<14} {value}")
    print()
    _print_classes(source, summary)
    return 0


def _lines(location: str, source: "Source", summary: "Summary") -> Iterator[tuple[str, str]]:
    identity = source.identity
    yield "kind", identity.kind
    yield "location", location
    yield "sha256", f"{identity.sha256} ({'as published' if identity.published else 'not a published checksum'})"
    yield "images", ", ".join(f"{split} {count:,}" for split, count in identity.counts.items())
    names = identity.class_names
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    yield "classes", f"{len(names):,}: {', '.join(names[:_NAMED])}{more}"
    smallest, median, largest = summary.sizes
    stored = f"stored as {identity.image_size}x{identity.image_size}"
    found = smallest if smallest == largest else f"{smallest} to {largest}, median {median}"
    yield "sizes", f"{found}; {stored}{f' ({identity.resize})' if identity.resize else ''}"
    yield "formats", ", ".join(f"{form} {count:,}" for form, count in summary.forms.items())
    yield "duplicates", _with_examples(summary.duplicates, summary.first_duplicates)
    if summary.in_two_classes:
        yield "in two classes", _with_examples(summary.in_two_classes, summary.first_in_two_classes)
    if source.skipped:
        yield "skipped", ", ".join(f"{what}: {count:,}" for what, count in source.skipped.items())
    for index, file in enumerate(summary.not_images[:_SHOWN_FILES]):
        yield "" if index else "no images", file
    if len(summary.not_images) > _SHOWN_FILES:
        yield "", f"and {len(summary.not_images) - _SHOWN_FILES:,} more; --json lists all"
    yield "samples", summary.samples
    yield "prepared in", str(source.folder)


def _with_examples(count: int, examples: tuple[str, ...]) -> str:
    return f"{count:,}, such as {', '.join(examples)}" if count else "none"


def _print_classes(source: "Source", summary: "Summary") -> None:
    names, counts = source.identity.class_names, summary.class_counts
    rows = [(name, *(f"{counts[split][k]:,}" for split in counts)) for k, name in enumerate(names)]
    print_table(("class", *counts), rows[:_SHOWN_CLASSES])
    if len(rows) > _SHOWN_CLASSES:
        print(f"and {len(rows) - _SHOWN_CLASSES:,} more classes; --json lists all")
