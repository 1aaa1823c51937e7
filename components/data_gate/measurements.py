"""Names of the properties of DataGate's output that hold its measurements. Imports nothing."""

# Of each split, named with `of_split`.
CLASS_COUNTS = "class_counts"  # images by class id, a JSON list
RAREST_CLASS_SHARE = "least_class_share"
DUPLICATES = "duplicates"  # number of images that repeat an earlier one

FIRST_DUPLICATES = "first_duplicates"  # examples, in words


def of_split(split: str, name: str) -> str:
    """Returns the name of a measurement of one split.

    >>> of_split("train", DUPLICATES)
    'train_duplicates'
    """
    return f"{split}_{name}"


def drift(feature: str) -> str:
    """Returns the name of the distance from the training split in one feature."""
    return f"{feature}_drift"
