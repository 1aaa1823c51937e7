"""Names and titles of the loss and the metrics, and the objectives of a search. Imports no TensorFlow."""

LOSS = "loss"
TOP1 = "top1"  # share of images whose class has the highest score
TOP5 = "top5"  # share of images whose class is among the five highest scores
ECE = "ece"  # expected calibration error: mean gap between confidence and accuracy

TITLES = {LOSS: "loss", TOP1: "top-1", TOP5: "top-5", ECE: "expected calibration error"}
SHARES = (TOP1, TOP5)  # from 0 to 1, shown as percentages
MIN_TOP5_CLASSES = 6  # with fewer, top-5 is 1 for any model, so it is neither measured nor shown


def of_eval(name: str) -> str:
    """Returns Keras's name for a metric of the eval split.

    >>> of_eval(TOP1)
    'val_top1'
    """
    return f"val_{name}"


def is_share(name: str) -> bool:
    """Returns True if the metric, of any split, is a share from 0 to 1.

    >>> is_share("val_top5"), is_share("loss")
    (True, False)
    """
    return name.removeprefix(of_eval("")) in SHARES


def has_top5(num_classes: int) -> bool:
    """Returns True if top-5 is measured on data of so many classes."""
    return num_classes >= MIN_TOP5_CLASSES


OBJECTIVE = of_eval(TOP1)
OBJECTIVES = {of_eval(LOSS): False, OBJECTIVE: True, of_eval(TOP5): True}  # of a search; True: greater is better
