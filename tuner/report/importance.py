"""Permutation importance of hyperparameters in a random forest (Breiman, "Random Forests", 2001)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from tuner.report import scale
from tuner.results import Results, Trial

MIN_TRIALS = 8  # with a score, to fit a forest
SHUFFLES = 30
_TREES = 300
_SEED = 0
_UNCLEAR = "The trials do not show which hyperparameter mattered"


@dataclass(frozen=True)
class Share:
    """A hyperparameter's share of the total importance, over SHUFFLES shuffles; negative if shuffling did no harm."""

    name: str
    mean: float  # the positive ones sum to 1
    std: float


@dataclass(frozen=True)
class Importance:
    """The importance of all hyperparameters, or the reason why it cannot be measured."""

    trials: int  # with a score
    shares: tuple[Share, ...] = ()  # largest first
    r2: float | None = None  # out-of-bag R² of the forest; None if none was fitted
    obstacle: str | None = None  # one sentence, if there are no shares


def measure(results: Results) -> Importance:
    """Measures how much the R² of a random forest drops when the values of one hyperparameter are shuffled.

    The forest predicts the ranks of the scores, because a single diverged trial would dominate the scores themselves.
    R² is out of bag: each trial is predicted by the trees that were not fitted to it. On the trials a tree was fitted
    to, noise would appear important.
    """
    trials = [trial for trial in results.trials if trial.score is not None]
    scores = _ranks(np.array([trial.score for trial in trials]))
    obstacle = _obstacle(results, scores)
    if obstacle:
        return Importance(len(trials), obstacle=obstacle)
    settings = _embed(results, trials)
    forest = RandomForestRegressor(_TREES, random_state=_SEED).fit(settings, scores)
    out_of_bag = _out_of_bag(forest, len(trials))
    r2 = float(_r2(scores, _predict(forest, settings[np.newaxis], out_of_bag))[0])
    if r2 <= 0:
        obstacle = (
            f"The {len(trials)} trials do not show which hyperparameter mattered: a random forest fitted to some of "
            f"them predicts the ranks of the others no better than the mean rank does (out-of-bag R² {r2:.2f})."
        )
        return Importance(len(trials), r2=r2, obstacle=obstacle)
    drops = r2 - np.stack([_r2(scores, _predict(forest, s, out_of_bag)) for s in _shuffle(settings)])
    return Importance(len(trials), _normalize([dimension.name for dimension in results.space], drops), r2)


def _obstacle(results: Results, scores: np.ndarray) -> str | None:
    """Returns the reason not to fit a forest, if there is one."""
    if not results.space:
        return "The space has no hyperparameter to compare."
    if len(scores) < MIN_TRIALS:
        return f"{_UNCLEAR}: fewer than {MIN_TRIALS} have a score ({len(scores)} so far)."
    if np.ptp(scores) == 0:
        return f"{_UNCLEAR}: all have the same score."
    return None


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Returns centred ranks: for each score, the number of lower scores minus the number of higher ones."""
    return np.sign(scores[:, np.newaxis] - scores).sum(axis=1)


def _embed(results: Results, trials: list[Trial]) -> np.ndarray:
    """Returns the settings in [0, 1], of shape (trials, hyperparameters); the default where one is switched off.

    A choice is a single number, its position, not a one-hot vector: trees can isolate any position, and shuffling a
    hyperparameter means shuffling one column.
    """
    space = scale.space(results)
    rows = [[scale.position(d, trial.values.get(d.name, d.default)) for d in space] for trial in trials]
    return np.array(rows, np.float32)


def _out_of_bag(forest: RandomForestRegressor, trials: int) -> np.ndarray:
    """Returns 1 where a tree was not fitted to a trial, else 0; shape (trees, trials)."""
    out_of_bag = np.ones((len(forest.estimators_), trials))
    for row, sample in zip(out_of_bag, forest.estimators_samples_, strict=True):
        row[sample] = 0
    return out_of_bag


def _shuffle(settings: np.ndarray) -> Iterator[np.ndarray]:
    """Yields, for each hyperparameter, SHUFFLES copies in which only it is shuffled: (SHUFFLES, *settings.shape)."""
    rng = np.random.default_rng(_SEED)
    for column in range(settings.shape[1]):
        shuffled = np.repeat(settings[np.newaxis], SHUFFLES, axis=0)
        shuffled[:, :, column] = rng.permuted(shuffled[:, :, column], axis=1)
        yield shuffled


def _predict(forest: RandomForestRegressor, settings: np.ndarray, out_of_bag: np.ndarray) -> np.ndarray:
    """Returns the mean out-of-bag prediction for each trial, of shape (repeats, trials).

    Args:
        forest: fitted.
        settings: (repeats, trials, hyperparameters).
        out_of_bag: (trees, trials), of 0 and 1.
    """
    repeats, trials, dimensions = settings.shape
    rows = settings.reshape(-1, dimensions)
    by_tree = np.stack([tree.predict(rows) for tree in forest.estimators_]).reshape(-1, repeats, trials)
    return (by_tree * out_of_bag[:, np.newaxis]).sum(axis=0) / out_of_bag.sum(axis=0)


def _r2(scores: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Returns R² for each row of `predicted`, which has the shape (repeats, trials)."""
    return 1 - ((scores - predicted) ** 2).mean(axis=1) / scores.var()


def _normalize(names: list[str], drops: np.ndarray) -> tuple[Share, ...]:
    """Returns the drops of R², of shape (hyperparameters, SHUFFLES), as shares of their sum, largest first."""
    means, stds = drops.mean(axis=1), drops.std(axis=1)
    total = means.clip(min=0).sum() or 1.0  # 0 if no shuffle did any harm
    shares = [Share(name, float(m / total), float(s / total)) for name, m, s in zip(names, means, stds, strict=True)]
    return tuple(sorted(shares, key=lambda share: -share.mean))
