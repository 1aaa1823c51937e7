"""The report of a search: one HTML page for people, which needs nothing beside itself."""

import math
from collections.abc import Mapping
from dataclasses import replace

from charts import formats
from charts.markup import breakable, definitions, element, escape, note, page, scrollable, section, table
from tuner.report import importance, plots, wording
from tuner.results import COMPLETED, FAILED, RUNNING, STOPPED, Results, Trial

_SMALL = 0.005  # of an accuracy: about what chance makes of one on 10,000 images
_CAUTION = "One run of each setting cannot tell small differences apart."
_MARKED = "Bold and underlined: differs from the first trial."


def render(results: Results) -> str:
    """Returns the report as an HTML document."""
    results = _with_finite_scores(results)
    parts = (_headline, _facts, _leaderboard, _losses, _curves, _importance, _settings, _cost)
    return page(f"Hyperparameter search: {results.objective}", "\n".join(part(results) for part in parts))


def _with_finite_scores(results: Results) -> Results:
    """Takes a score that is not finite for none: it has no place beside the others."""
    trials = [t if t.score is None or math.isfinite(t.score) else replace(t, score=None) for t in results.trials]
    return replace(results, trials=trials)


def _headline(results: Results) -> str:
    title = element("h1", "Hyperparameter search")
    sentence = element("p", escape(_sentence(results)), class_="headline")
    return element("header", title, sentence, _best_setting(results))


def _sentence(results: Results) -> str:
    board, trials = results.leaderboard(), results.trials
    if not board:
        return f"No trial has a score: {wording.states(results)}."
    best, first = board[0], trials[0]
    count = "The only trial" if len(trials) == 1 else f"Best of {len(trials)} trials"
    so_far = " so far" if any(trial.state == RUNNING for trial in trials) else ""
    opening = f"{count}{so_far}: {results.objective} {wording.score(results.objective, best.score)}"
    if best is first:
        return f"{opening}, of {_name_first(results)}{'; no other did better' if len(trials) > 1 else ''}."
    if first.score is None:
        return f"{opening} (trial {best.id}); {_name_first(results)} has no score to compare it with."
    apart = wording.distance(results.objective, best.score, first.score)
    side = "above" if results.greater_is_better else "below"
    return f"{opening} (trial {best.id}), {apart} {side} {_name_first(results)}.{_reservations(results, best, first)}"


def _name_first(results: Results) -> str:
    first = results.trials[0]
    as_it_stands = all(first.values.get(d.name, d.default) == d.default for d in results.space)
    return f"{'the configuration as it stands' if as_it_stands else 'the first trial'} (trial {first.id})"


def _reservations(results: Results, best: Trial, first: Trial) -> str:
    clear = wording.is_accuracy(results.objective) and abs(best.score - first.score) >= _SMALL
    told = "" if clear else f" {_CAUTION}"
    if best.epochs != first.epochs:
        best_epochs, first_epochs = wording.epochs(best.epochs), wording.epochs(first.epochs)
        told += f" Part of it may be training time: {best_epochs} against {first_epochs}."
    return told


def _best_setting(results: Results) -> str:
    board = results.leaderboard()
    if not board or not results.space:
        return ""
    shown = {trial.id: trial for trial in (board[0], results.trials[0])}
    rows = [[breakable(d.name), *(_value(results, t, d.name) for t in shown.values())] for d in results.space]
    headings = ["hyperparameter", *(f"trial {escape(trial)}" for trial in shown)]
    if len(shown) == 1:
        return table("The best setting", headings, rows)
    return table("The best setting beside the first", headings, rows) + note(_MARKED)


def _facts(results: Results) -> str:
    budget, trials = results.budget, results.trials
    spent = sum(trial.seconds for trial in trials)
    minutes = budget.get("minutes")
    facts = {
        "Algorithm": results.algorithm,
        "Objective": f"{results.objective}, {'higher' if results.greater_is_better else 'lower'} is better",
        "Trials": f"{_of(str(len(trials)), _limit(budget, 'trials'))}: {wording.states(results)}",
        "Whole trial": wording.epochs(results.epochs),
        "Time": _of(wording.duration(results.seconds), wording.duration(60 * minutes) if minutes else ""),
        "Time of all trials": f"{wording.duration(spent)}{_at_a_time(spent, results.seconds)}",
        "Workers": _of(str(len({trial.worker for trial in trials})), _limit(budget, "workers")),
    }
    return section("The search", definitions(facts))


def _limit(budget: Mapping[str, float], name: str) -> str:
    return formats.significant(budget[name]) if budget.get(name) else ""


def _of(used: str, limit: str) -> str:
    return f"{used} of {limit}" if limit else f"{used}, no limit"


def _at_a_time(spent: float, seconds: float) -> str:
    return f", {spent / seconds:.1f} times that of the search" if seconds else ""


def _leaderboard(results: Results) -> str:
    board = results.leaderboard()
    if not board:
        return section("Leaderboard", note("No trial has a score."))
    names = [dimension.name for dimension in results.space]
    headings = ["rank", "trial", "state", escape(results.objective), "epochs", "time", *map(breakable, names)]
    rows = [
        [
            str(rank),
            escape(trial.id),
            wording.STATES[trial.state],
            wording.score(results.objective, trial.score),
            str(trial.epochs),
            wording.duration(trial.seconds),
            *(_value(results, trial, name) for name in names),
        ]
        for rank, trial in enumerate(board, 1)
    ]
    caution = f"{_CAUTION} The best of many is so partly by luck, and the order near the top is uncertain."
    board = table("Trials with a score, best first", headings, rows, header=1)
    return section("Leaderboard", note(caution), board, note(_MARKED))


def _losses(results: Results) -> str:
    heading = "Failed and stopped trials"
    lost = [*results.failures(), *(trial for trial in results.trials if trial.state == STOPPED)]
    if not lost:
        return section(heading, note("No trial failed, and none was stopped early."))
    rows = [
        [
            escape(trial.id),
            wording.STATES[trial.state],
            escape(trial.cause or "not known"),
            ", ".join(f"{escape(name)} = {_value(results, trial, name)}" for name in trial.values),
        ]
        for trial in lost
    ]
    headings = ["trial", "state", "cause", "values"]
    losses = table("Failed, then stopped early", headings, rows, kind="words")
    return section(heading, losses, note(_MARKED))


def _curves(results: Results) -> str:
    chart = plots.learning_curves(results)
    if not chart:
        return section("Learning curves", note("No trial has finished an epoch."))
    edge = "Where a trial without a score leaves the frame of the others, its curve runs along the edge."
    return section("Learning curves", note(edge), scrollable("Learning curves", chart))


def _importance(results: Results) -> str:
    heading = "Which hyperparameter mattered"
    found = importance.measure(results)
    if found.doubt:
        return section(heading, element("p", escape(found.doubt)))
    method = (
        "Permutation importance (Breiman 2001): how much the R² of a random forest, which predicts the ranks of the "
        f"trials' scores, falls on trials that its trees have not seen (out of bag, {found.r2:.2f} on {found.trials} "
        "trials) when the values of one hyperparameter are shuffled, "
        f"as a share of all falls; whiskers: standard deviation over {importance.SHUFFLES} shuffles."
    )
    limits = (
        "It tells neither which values are better, nor what lies outside of the ranges, nor which of two "
        "hyperparameters that changed together did it. Of few trials, or near 0, R² can be chance, and with other "
        "trials the order could be another. Scores after fewer epochs are taken as they are."
    )
    rows = [plots.Bar(s.name, s.mean, f"{max(s.mean, 0):.0%} ± {100 * s.sd:.0f}", s.sd) for s in found.shares]
    chart = plots.bars(rows, "Share of each hyperparameter in the importance of all")
    return section(heading, note(method), note(limits), scrollable(heading, chart))


def _settings(results: Results) -> str:
    heading = "All settings side by side"
    chart = plots.parallel_coordinates(results)
    if not chart:
        return section(heading, note("No trial has a score."))
    legend = "Each line is a trial, coloured by the rank of its score; the thick one is the best."
    return section(heading, note(legend), scrollable(heading, chart))


def _cost(results: Results) -> str:
    spent = sum(trial.seconds for trial in results.trials)
    if not spent:
        return section("Cost", note("No trial has taken any time."))
    failed, stopped = (
        sum(trial.seconds for trial in results.trials if trial.state == state) / spent for state in (FAILED, STOPPED)
    )
    share = f"Of the time of all trials, {failed:.0%} went to failed ones and {stopped:.0%} to those stopped early."
    rows = [plots.Bar(f"trial {t.id}", t.seconds, _describe_cost(t), kind=t.state) for t in results.trials]
    chart = plots.bars(rows, "Time of each trial")
    return section("Cost", element("p", share), scrollable("Time of each trial", chart))


def _describe_cost(trial: Trial) -> str:
    state = "" if trial.state == COMPLETED else f", {wording.STATES[trial.state]}"
    return f"{wording.duration(trial.seconds)}{state}"


def _value(results: Results, trial: Trial, name: str) -> str:
    """Returns the markup of a value, marked where the first trial has another or none."""
    first = results.trials[0].values
    text = escape(formats.significant(trial.values[name])) if name in trial.values else "off"
    same = (name in trial.values, trial.values.get(name)) == (name in first, first.get(name))
    return text if same else element("mark", text)
