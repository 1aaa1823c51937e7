"""Names and titles of the loss and the metrics, and the objectives of a search. Imports no TensorFlow."""

LOSS = "loss"
TOP1 = "top1"  # share of images whose class has the highest score
TOP5 = "top5"  # share of images whose class is among the five highest scores
ECE = "ece"  # expected calibration error: mean gap between confidence and accuracy
MACRO_F1 = "macro_f1"  # mean F1 of the classes, in which each class counts the same

# Of each class.
RECALL = "recall"  # share of the class's images that are answered right: its top-1
PRECISION = "precision"  # share of the answers with the class that are right
F1 = "f1"  # harmonic mean of the two

TITLES = {
    LOSS: "loss",
    TOP1: "top-1",
    TOP5: "top-5",
    ECE: "expected calibration error",
    MACRO_F1: "macro-F1",
    RECALL: "recall",
    PRECISION: "precision",
    F1: "F1",
}
CLASS_SCORES = (RECALL, PRECISION, F1)
SHARES = (TOP1, TOP5)  # from 0 to 1, shown as percentages
MIN_TOP5_CLASSES = 6  # with fewer, top-5 is 1 for any model, so it is neither measured nor shown


def of_eval(name: str) -> str:
    """Returns Keras's name for a metric of the eval split.

    >>> of_eval(TOP1)
    'val_top1'
    """
    return f"val_{name}"


def of_class(name: str) -> str:
    """Returns the name of a list of the metric by class id.

    >>> of_class(TOP1)
    'class_top1'
    """
    return f"class_{name}"


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
