"""Assembles the report of a search: one self-contained HTML page."""

import math
from dataclasses import replace

from charts.formats import count, duration, percent, significant
from charts.markup import breakable, definitions, element, escape, note, page, scrollable, section, table
from shiftvit.metrics import is_share
from tuner.report import importance, plots, wording
from tuner.results import COMPLETED, FAILED, RUNNING, STOPPED, Results, Trial

_SMALL = 0.005  # of an accuracy: about the standard error of one measured on 10,000 images
_CAUTION = "One run of each setting cannot tell small differences apart."
_MARKED = "Bold and underlined: differs from the first trial."


def render(results: Results) -> str:
    """Returns the report as an HTML document."""
    results = _drop_infinite_scores(results)
    parts = (_headline, _facts, _leaderboard, _losses, _curves, _importance, _settings, _cost)
    return page(f"Hyperparameter search: {results.objective}", "\n".join(part(results) for part in parts))


def _drop_infinite_scores(results: Results) -> Results:
    """Treats a score that is not finite as missing, because it cannot be drawn or ranked."""
    trials = [t if t.score is None or math.isfinite(t.score) else replace(t, score=None) for t in results.trials]
    return replace(results, trials=trials)


def _headline(results: Results) -> str:
    title = element("h1", "Hyperparameter search")
    sentence = element("p", escape(_summary(results)), class_="headline")
    return element("header", title, sentence, _best_setting(results))


def _summary(results: Results) -> str:
    leaderboard, trials = results.leaderboard(), results.trials
    if not leaderboard:
        return f"No trial has a score: {wording.states(results)}."
    best, first = leaderboard[0], trials[0]
    which = "The only trial" if len(trials) == 1 else f"Best of {len(trials)} trials"
    so_far = " so far" if any(trial.state == RUNNING for trial in trials) else ""
    opening = f"{which}{so_far}: {results.objective} {wording.score(results.objective, best.score)}"
    if best is first:
        return f"{opening}, of {_name_first(results)}{'; no other did better' if len(trials) > 1 else ''}."
    if first.score is None or best.score is None:
        return f"{opening} (trial {best.id}); {_name_first(results)} has no score to compare it with."
    difference = wording.difference(results.objective, best.score, first.score)
    side = "above" if results.greater_is_better else "below"
    clear = is_share(results.objective) and abs(best.score - first.score) >= _SMALL
    reservations = ("" if clear else f" {_CAUTION}") + _compare_epochs(best, first)
    return f"{opening} (trial {best.id}), {difference} {side} {_name_first(results)}.{reservations}"


def _name_first(results: Results) -> str:
    first = results.trials[0]
    unchanged = all(first.values.get(d.name, d.default) == d.default for d in results.space)
    return f"{'the unchanged configuration' if unchanged else 'the first trial'} (trial {first.id})"


def _compare_epochs(best: Trial, first: Trial) -> str:
    if best.epochs == first.epochs:
        return ""
    return (
        f" Part of the difference may come from training time: {count(best.epochs, 'epoch')} against "
        f"{count(first.epochs, 'epoch')}."
    )


def _best_setting(results: Results) -> str:
    leaderboard = results.leaderboard()
    if not leaderboard or not results.space:
        return ""
    shown = {trial.id: trial for trial in (leaderboard[0], results.trials[0])}
    rows = [[breakable(d.name), *(_value(results, t, d.name) for t in shown.values())] for d in results.space]
    headings = ["hyperparameter", *(f"trial {escape(trial)}" for trial in shown)]
    if len(shown) == 1:
        return table("The best setting", headings, rows)
    return table("The best setting beside the first", headings, rows) + note(_MARKED)


def _facts(results: Results) -> str:
    budget, trials = results.budget, results.trials
    total = sum(trial.seconds for trial in trials)
    concurrency = f", {total / results.seconds:.1f} times that of the search" if results.seconds else ""
    minutes = duration(60 * budget.minutes) if budget.minutes else ""
    facts = {
        "Algorithm": results.algorithm,
        "Objective": f"{results.objective}, {'higher' if results.greater_is_better else 'lower'} is better",
        "Trials": f"{_usage(str(len(trials)), str(budget.trials or ''))}: {wording.states(results)}",
        "Full trial": count(results.epochs, "epoch"),
        "Time": _usage(duration(results.seconds), minutes),
        "Time of all trials": f"{duration(total)}{concurrency}",
        "Workers": _usage(str(len({trial.worker for trial in trials})), str(budget.workers or "")),
    }
    return section("The search", definitions(facts))


def _usage(used: str, limit: str) -> str:
    return f"{used} of {limit}" if limit else f"{used}, no limit"


def _leaderboard(results: Results) -> str:
    leaderboard = results.leaderboard()
    if not leaderboard:
        return section("Leaderboard", note("No trial has a score."))
    names = [dimension.name for dimension in results.space]
    headings = ["rank", "trial", "state", escape(results.objective), "epochs", "time", *map(breakable, names)]
    rows = []
    for rank, trial in enumerate(leaderboard, 1):
        identity = (str(rank), escape(trial.id), wording.STATES[trial.state])
        figures = (wording.score(results.objective, trial.score), str(trial.epochs), duration(trial.seconds))
        rows.append([*identity, *figures, *(_value(results, trial, name) for name in names)])
    caution = f"{_CAUTION} The best of many trials is partly lucky, and the order near the top is uncertain."
    board = table("Trials with a score, best first", headings, rows, header=1)
    return section("Leaderboard", note(caution), board, note(_MARKED))


def _losses(results: Results) -> str:
    heading = "Failed and stopped trials"
    lost = [*results.failures(), *(trial for trial in results.trials if trial.state == STOPPED)]
    if not lost:
        return section(heading, note("No trial failed or was stopped early."))
    rows = []
    for trial in lost:
        values = ", ".join(f"{escape(name)} = {_value(results, trial, name)}" for name in trial.values)
        rows.append([escape(trial.id), wording.STATES[trial.state], escape(trial.cause or "unknown"), values])
    losses = table("Failed, then stopped early", ["trial", "state", "cause", "values"], rows, kind="words")
    return section(heading, losses, note(_MARKED))


def _curves(results: Results) -> str:
    clipping = "The axis covers the trials with a score; other curves are clipped at its ends."
    return _chart("Learning curves", plots.learning_curves(results), clipping, "No trial has finished an epoch.")


def _importance(results: Results) -> str:
    heading = "Which hyperparameter mattered"
    measured = importance.measure(results)
    if measured.obstacle:
        return section(heading, element("p", escape(measured.obstacle)))
    method = (
        "Permutation importance (Breiman 2001): a random forest predicts the ranks of the trials' scores. Each bar is "
        "the drop of its R² when the values of one hyperparameter are shuffled, as a share of the sum of all drops. "
        f"R² is out of bag, on trials that a tree was not fitted to: {measured.r2:.2f} on {measured.trials} trials. "
        f"Whiskers: standard deviation over {importance.SHUFFLES} shuffles."
    )
    limits = (
        "The bars show neither which values are better, nor anything outside the ranges, nor which of two "
        "hyperparameters that changed together had the effect. With few trials, or an R² near 0, the order may be "
        "chance. Scores after fewer epochs count like the others."
    )
    rows = [plots.Bar(s.name, s.mean, f"{max(s.mean, 0):.0%} ± {100 * s.std:.0f}", s.std) for s in measured.shares]
    chart = plots.bars(rows, "Share of each hyperparameter in the total importance")
    return section(heading, note(method), note(limits), scrollable(heading, chart))


def _settings(results: Results) -> str:
    legend = "Each line is a trial, coloured by the rank of its score; the thick one is the best."
    chart = plots.parallel_coordinates(results)
    return _chart("All settings side by side", chart, legend, "No trial has a score.")


def _chart(heading: str, chart: str, legend: str, missing: str) -> str:
    """Returns a section with a chart, or one that says why there is none."""
    content = (note(legend), scrollable(heading, chart)) if chart else (note(missing),)
    return section(heading, *content)


def _cost(results: Results) -> str:
    total = sum(trial.seconds for trial in results.trials)
    if not total:
        return section("Cost", note("No trial has taken any time."))
    failed, stopped = (
        percent(sum(trial.seconds for trial in results.trials if trial.state == state) / total, decimals=0)
        for state in (FAILED, STOPPED)
    )
    shares = f"Failed trials took {failed} of the time of all trials, and those stopped early {stopped}."
    rows = [plots.Bar(f"trial {t.id}", t.seconds, _describe_cost(t), kind=t.state) for t in results.trials]
    chart = plots.bars(rows, "Time of each trial")
    return section("Cost", element("p", shares), scrollable("Time of each trial", chart))


def _describe_cost(trial: Trial) -> str:
    return duration(trial.seconds) + ("" if trial.state == COMPLETED else f", {wording.STATES[trial.state]}")


def _value(results: Results, trial: Trial, name: str) -> str:
    """Returns the markup of a value, marked if it differs from the first trial's."""
    first = results.trials[0].values
    text = escape(significant(trial.values[name])) if name in trial.values else "off"
    same = (name in trial.values, trial.values.get(name)) == (name in first, first.get(name))
    return text if same else element("mark", text)
