"""Precision, recall and F1 of each class, from a confusion matrix. Imports nothing heavy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shiftvit.metrics import CLASS_SCORES, MACRO_F1, of_class

Confusion = Sequence[Sequence[int]]  # counts, in rows by true class id and columns by predicted class id


@dataclass(frozen=True)
class ClassScores:
    """How a model answers for one class. Scores are from 0 to 1, or None where they are undefined."""

    images: int  # of the class
    answers: int  # that name the class
    right: int  # of both

    @property
    def recall(self) -> float | None:
        """The share of the class's images that are answered right, which is their top-1."""
        return self.right / self.images if self.images else None

    @property
    def precision(self) -> float | None:
        """The share of the answers that are right."""
        return self.right / self.answers if self.answers else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; 0 if no answer is right."""
        return 2 * self.right / (self.images + self.answers) if self.images + self.answers else None


def class_scores(confusion: Confusion) -> list[ClassScores]:
    """Returns the scores by class id.

    >>> [cat, dog] = class_scores([[8, 2], [4, 6]])
    >>> round(cat.precision, 3), cat.recall, round(cat.f1, 3)
    (0.667, 0.8, 0.727)
    """
    answers = [sum(column) for column in zip(*confusion, strict=True)]
    return [ClassScores(sum(row), answers[k], row[k]) for k, row in enumerate(confusion)]


def macro_f1(confusion: Confusion) -> float:
    """Returns the mean F1 of the classes that have images or answers: each class counts the same, however rare.

    >>> round(macro_f1([[8, 2, 0], [4, 6, 0], [0, 0, 0]]), 3)
    0.697
    """
    scores = [scores.f1 for scores in class_scores(confusion) if scores.f1 is not None]
    return sum(scores) / len(scores)


def score_metrics(confusion: Confusion) -> dict[str, Any]:
    """Returns MACRO_F1 and, by class id, the CLASS_SCORES, as plain data."""
    scores = class_scores(confusion)
    return {MACRO_F1: macro_f1(confusion)} | {of_class(n): [getattr(each, n) for each in scores] for n in CLASS_SCORES}
