"""Settings as reports list them: by dotted name, as `--set` takes them."""

from collections.abc import Mapping
from typing import Any


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the leaves of a configuration by their dotted names.

    >>> flatten({"preset": "cifar10", "train": {"epochs": 20}})
    {'preset': 'cifar10', 'train.epochs': 20}
    """
    leaves: dict[str, Any] = {}
    for name, value in config.items():
        below = flatten(value) if isinstance(value, Mapping) else None
        leaves |= {name: value} if below is None else {f"{name}.{leaf}": v for leaf, v in below.items()}
    return leaves
