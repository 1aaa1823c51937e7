"""The names of the loss and the metrics, their titles, and the objective of tuning. Imports no TensorFlow."""

LOSS = "loss"
TOP1 = "top1"  # share of images whose true class is the first answer
TOP5 = "top5"  # share of images whose true class is among the first five
ECE = "ece"  # expected calibration error: how far confidence is from how often it is right

TITLES = {LOSS: "loss", TOP1: "top-1", TOP5: "top-5", ECE: "expected calibration error"}
SHARES = (TOP1, TOP5)  # from 0 to 1, written as percentages


def of_eval(name: str) -> str:
    """Returns the name that Keras gives the metric on the eval split."""
    return f"val_{name}"


def is_share(name: str) -> bool:
    """Says whether a metric, of any split, is a share of images."""
    return name.removeprefix(of_eval("")) in SHARES


OBJECTIVE = of_eval(TOP1)
OBJECTIVES = {of_eval(LOSS): False, OBJECTIVE: True, of_eval(TOP5): True}  # what a search can aim at: is more better?
