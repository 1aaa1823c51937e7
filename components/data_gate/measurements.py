"""Names of the properties with which DataGate records its measurements. Imports nothing."""

FIRST_DUPLICATES = "first_duplicates"  # a sentence


def class_counts(split: str) -> str:
    """Names the images per class, a JSON list by class id."""
    return f"{split}_class_counts"


def min_class_share(split: str) -> str:
    """Names the share of the rarest class."""
    return f"{split}_least_class_share"


def duplicates(split: str) -> str:
    """Names the number of images that repeat an earlier one."""
    return f"{split}_duplicates"


def drift(split: str, feature: str) -> str:
    """Names the distance between the split and train in one feature."""
    return f"{split}_{feature}_drift"
