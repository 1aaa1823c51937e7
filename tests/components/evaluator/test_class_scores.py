import pytest

from components.evaluator.class_scores import class_scores, macro_f1

CONFUSION = [[90, 10, 0, 0], [5, 5, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]]


def test_scores_are_those_of_the_confusion_matrix():
    often, rarely, never, absent = class_scores(CONFUSION)

    assert (often.recall, often.precision) == (0.9, 90 / 95)
    assert often.f1 == pytest.approx(2 / (1 / often.recall + 1 / often.precision))
    assert (rarely.recall, rarely.precision) == (0.5, 5 / 17)
    assert (never.recall, never.precision, never.f1) == (0, None, 0)
    assert (absent.recall, absent.precision, absent.f1) == (None, None, None)


def test_each_class_counts_the_same_in_macro_f1():
    scores = [scores.f1 for scores in class_scores(CONFUSION)]

    assert macro_f1(CONFUSION) == pytest.approx(sum(scores[:3]) / 3)
    assert macro_f1([[10, 0], [0, 1]]) == 1
