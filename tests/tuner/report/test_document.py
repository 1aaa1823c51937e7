import math
import re

import pytest
from html_page import Page
from made_results import (
    MAGNITUDE,
    NORM,
    OPS,
    RATE,
    SEARCHES,
    UNCHANGED,
    failed_trial,
    make_results,
    make_trial,
    running_trial,
    stopped_trial,
    trials_by_rate,
)

from tuner.report.document import render
from tuner.results import Budget


def headline(results):
    return Page(render(results)).texts("p", **{"class": "headline"})[0]


def section(results, heading):
    return next(part for part in render(results).split("<section>") if f"<h2>{heading}</h2>" in part)


def rows(markup):
    """Returns the content of each cell, row by row."""
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", markup)]


OTHER = {**UNCHANGED, NORM.name: "batch"}
CAUTION = " One run of each setting cannot tell small differences apart."


@pytest.mark.parametrize(
    "trials, changes, sentence",
    [
        ([], {}, "No trial has a score: none was started."),
        ([failed_trial("00"), running_trial("01")], {}, "No trial has a score: 1 failed, 1 running."),
        ([make_trial("00")], {}, "The only trial: val_top1 70.0%, of the unchanged configuration (trial 00)."),
        (
            [make_trial("00", 0.7), make_trial("01", 0.713, values=OTHER)],
            {},
            "Best of 2 trials: val_top1 71.3% (trial 01), 1.3 points above the unchanged configuration (trial 00).",
        ),
        (
            [make_trial("00", 0.7), make_trial("01", 0.7002)],
            {},
            "Best of 2 trials: val_top1 70.0% (trial 01), less than 0.1 points above the unchanged configuration "
            f"(trial 00).{CAUTION}",
        ),
        (
            [make_trial("00", 0.7), make_trial("01", 0.6), running_trial("02")],
            {},
            "Best of 3 trials so far: val_top1 70.0%, of the unchanged configuration (trial 00); no other did better.",
        ),
        (
            [failed_trial("00"), make_trial("01", 0.7)],
            {},
            "Best of 2 trials: val_top1 70.0% (trial 01); the unchanged configuration (trial 00) has no score to "
            "compare it with.",
        ),
        (
            [make_trial("00", 0.7, values=OTHER), make_trial("01", 0.8)],
            {},
            "Best of 2 trials: val_top1 80.0% (trial 01), 10.0 points above the first trial (trial 00).",
        ),
        (
            [make_trial("00", 0.7, epochs=1), make_trial("01", 0.8, epochs=3)],
            {},
            "Best of 2 trials: val_top1 80.0% (trial 01), 10.0 points above the unchanged configuration (trial 00). "
            "Part of the difference may come from training time: 3 epochs against 1 epoch.",
        ),
        (
            [make_trial("00", 1.25), make_trial("01", 1.0)],
            {"objective": "val_loss", "greater": False},
            f"Best of 2 trials: val_loss 1 (trial 01), 0.25 below the unchanged configuration (trial 00).{CAUTION}",
        ),
        (
            [make_trial("00", 0.7), make_trial("01", math.inf, curve=())],
            {},
            "Best of 2 trials: val_top1 70.0%, of the unchanged configuration (trial 00); no other did better.",
        ),
    ],
)
def test_the_headline_compares_the_best_trial_with_the_first(trials, changes, sentence):
    assert headline(make_results(*trials, **changes)) == sentence


def test_the_best_setting_is_beside_the_first():
    best = make_trial("01", 0.8, values={RATE.name: 0.0012345, NORM.name: "group1", OPS.name: 2, MAGNITUDE.name: 0.25})

    table = rows(render(make_results(make_trial("00"), best)).split("<section>")[0])

    assert table == [
        ["hyperparameter", "trial 01", "trial 00"],
        ["train.<wbr>learning_<wbr>rate", "<mark>0.001234</mark>", "0.002"],
        ["model.<wbr>norm", "group1", "group1"],
        ["data.<wbr>randaugment_<wbr>ops", "<mark>2</mark>", "0"],
        ["data.<wbr>randaugment_<wbr>magnitude", "<mark>0.25</mark>", "off"],
    ]


def test_the_facts_show_the_budget_and_its_use():
    trials = [make_trial("00", worker="a"), failed_trial("01", worker="b"), stopped_trial("02"), running_trial("03")]

    page = Page(render(make_results(*trials, budget=Budget(20, 90, 4), seconds=120)))

    assert dict(zip(page.texts("dt"), page.texts("dd"), strict=True)) == {
        "Algorithm": "bayesian",
        "Objective": "val_top1, higher is better",
        "Trials": "4 of 20: 1 completed, 1 stopped early, 1 failed, 1 running",
        "Full trial": "3 epochs",
        "Time": "2:00 of 1:30:00",
        "Time of all trials": "4:00, 2.0 times that of the search",
        "Workers": "3 of 4",
    }


def test_no_limit_of_a_budget_is_named():
    page = Page(render(make_results(make_trial("00"), budget=Budget(5, 0, 1), greater=False)))

    assert "1:40, no limit" in page.texts("dd")
    assert "val_top1, lower is better" in page.texts("dd")


@pytest.mark.parametrize("greater, order", [(True, ["02", "00", "01"]), (False, ["01", "00", "02"])])
def test_the_leaderboard_has_the_best_first(greater, order):
    trials = [make_trial("00", 0.5), make_trial("01", 0.4), make_trial("02", 0.6), failed_trial("03")]

    board = section(make_results(*trials, greater=greater), "Leaderboard")

    table = rows(board)
    assert re.findall('<th scope="row">(.*?)</th>', board) == order
    assert [row[:2] for row in table[1:]] == [[str(rank), trial] for rank, trial in enumerate(order, 1)]


@pytest.mark.parametrize("heading", ["Leaderboard", "All settings side by side"])
def test_no_score_means_no_ranking(heading):
    part = section(SEARCHES["all failed"], heading)

    assert "No trial has a score." in part
    assert "<table" not in part and "<svg" not in part


def test_the_leaderboard_shows_a_trial_in_full_and_marks_differences():
    other = stopped_trial(
        "01", 0.25, seconds=3700, values={RATE.name: 0.002, NORM.name: "a", OPS.name: 1, MAGNITUDE.name: 0.3}
    )

    heading, first, second = rows(section(make_results(make_trial("00", 0.7), other), "Leaderboard"))

    assert heading[:6] == ["rank", "trial", "state", "val_top1", "epochs", "time"]
    assert first == ["1", "00", "completed", "70.0%", "3", "1:00", "0.002", "group1", "0", "off"]
    assert second[:6] == ["2", "01", "stopped early", "25.0%", "1", "1:01:40"]
    assert second[6:] == ["0.002", "<mark>a</mark>", "<mark>1</mark>", "<mark>0.3</mark>"]


def test_failed_and_stopped_trials_are_listed_with_values_and_cause():
    trials = [make_trial("00"), stopped_trial("01"), failed_trial("02", "out of memory", values=OTHER)]

    headings, failed, stopped = rows(section(make_results(*trials), "Failed and stopped trials"))

    assert headings == ["trial", "state", "cause", "values"]
    assert failed[:3] == ["02", "failed", "out of memory"]
    assert "model.norm = <mark>batch</mark>" in failed[3]
    assert "train.learning_rate = 0.002" in failed[3]
    assert stopped[:3] == ["01", "stopped early", "worse than the median"]


def test_no_failed_trial_is_worth_a_sentence():
    assert "No trial failed or was stopped early." in section(SEARCHES["single"], "Failed and stopped trials")


def test_importance_is_drawn_and_its_method_explained():
    part = section(make_results(*trials_by_rate(20)), "Which hyperparameter mattered")

    assert "Breiman" in part
    assert re.findall(r"<title>([\w.]+):", part)[0] == RATE.name
    assert part.count('class="row"') == 4
    assert part.count('class="whisker"') == 1  # the other values never change


@pytest.mark.parametrize("results", [make_results(*trials_by_rate(5)), SEARCHES["equal scores"]], ids=["few", "equal"])
def test_importance_that_cannot_be_measured_is_explained(results):
    part = section(results, "Which hyperparameter mattered")

    assert "The trials do not show which hyperparameter mattered" in part
    assert "<svg" not in part


def test_the_cost_names_the_time_of_failed_and_stopped_trials():
    trials = [make_trial("00", seconds=50), failed_trial("01", seconds=30), stopped_trial("02", seconds=20)]

    part = section(make_results(*trials), "Cost")

    assert "Failed trials took 30% of the time of all trials, and those stopped early 20%." in part
    assert re.findall(r"<title>(.*?)</title>", part) == [
        "trial 00: 0:50",
        "trial 01: 0:30, failed",
        "trial 02: 0:20, stopped early",
    ]
