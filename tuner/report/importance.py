"""Which hyperparameter mattered: permutation importance in a random forest (Breiman, "Random Forests", 2001)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from tuner.report import scale
from tuner.results import Results, Trial

FEWEST = 8  # scored trials that a forest is fitted to
SHUFFLES = 30
_TREES = 300
_SEED = 0


@dataclass(frozen=True)
class Share:
    """What a hyperparameter has of the importance of all."""

    name: str
    mean: float  # over the shuffles; those above 0 sum to 1, and what is not above 0 did not matter
    sd: float


@dataclass(frozen=True)
class Importance:
    """What the trials tell of the hyperparameters."""

    trials: int  # that have a score
    shares: tuple[Share, ...] = ()  # greatest first; empty where the trials do not tell
    r2: float | None = None  # of the forest, on trials that its trees had not seen; None where none was fitted
    doubt: str | None = None  # in a sentence, why the trials do not tell


def measure(results: Results) -> Importance:
    """Returns how much of a forest's knowledge of the scores is lost when one hyperparameter is shuffled.

    The forest learns the scores' ranks: one trial that diverged would weigh more than all others together. Its R^2 is
    taken out of bag, each trial predicted by the trees that were not fitted to it, before and after the shuffle: on the
    trials that trees were fitted to, noise would look important.
    """
    trials = [trial for trial in results.trials if trial.score is not None]
    scores = _ranks(np.array([trial.score for trial in trials]))
    doubt = _doubt(results, scores)
    if doubt:
        return Importance(len(trials), doubt=doubt)
    settings = _embed(results, trials)
    forest = RandomForestRegressor(_TREES, random_state=_SEED).fit(settings, scores)
    unseen = _unseen(forest, len(trials))
    r2 = float(_r2(scores, _predict(forest, settings[np.newaxis], unseen))[0])
    if r2 <= 0:
        doubt = (
            f"The {len(trials)} trials do not tell which hyperparameter mattered: a random forest fitted to some "
            f"predicts the ranks of the others no better than the mean rank does (out-of-bag R² {r2:.2f})."
        )
        return Importance(len(trials), r2=r2, doubt=doubt)
    falls = r2 - np.stack([_r2(scores, _predict(forest, s, unseen)) for s in _shuffled(settings)])
    return Importance(len(trials), _share_out([dimension.name for dimension in results.space], falls), r2)


def _doubt(results: Results, scores: np.ndarray) -> str | None:
    """Returns why no forest is fitted; None where nothing speaks against it."""
    if not results.space:
        return "The space holds no hyperparameter to compare."
    if len(scores) < FEWEST:
        return (
            f"The trials do not tell which hyperparameter mattered: fewer than {FEWEST} have a score ({len(scores)} so "
            "far)."
        )
    if np.ptp(scores) == 0:
        return "The trials do not tell which hyperparameter mattered: all have the same score."
    return None


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Returns how many scores are less, less how many are greater; 0 for each where all are the same."""
    return np.sign(scores[:, np.newaxis] - scores).sum(axis=1)


def _embed(results: Results, trials: list[Trial]) -> np.ndarray:
    """Returns the settings, (trials, hyperparameters), in [0, 1]; a hyperparameter that is switched off as its default.

    A choice is one number, its place among the choices: trees can single out any of them, and to shuffle a
    hyperparameter stays to shuffle one column.
    """
    space = scale.space(results)
    return np.array(
        [[scale.position(d, trial.values.get(d.name, d.default)) for d in space] for trial in trials], dtype=np.float32
    )


def _unseen(forest: RandomForestRegressor, trials: int) -> np.ndarray:
    """Returns 1 where a tree was not fitted to a trial, else 0: (trees, trials)."""
    unseen = np.ones((len(forest.estimators_), trials))
    for row, drawn in zip(unseen, forest.estimators_samples_, strict=True):
        row[drawn] = 0
    return unseen


def _shuffled(settings: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the settings with each hyperparameter in turn shuffled: (SHUFFLES, trials, hyperparameters)."""
    random = np.random.default_rng(_SEED)
    for column in range(settings.shape[1]):
        shuffled = np.repeat(settings[np.newaxis], SHUFFLES, axis=0)
        shuffled[:, :, column] = random.permuted(shuffled[:, :, column], axis=1)
        yield shuffled


def _predict(forest: RandomForestRegressor, settings: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Returns each trial's score as the trees that had not seen it predict it: (repeats, trials).

    Args:
        forest: of `trees` trees.
        settings: (repeats, trials, hyperparameters).
        unseen: (trees, trials), of 0 and 1.
    """
    repeats, trials, dimensions = settings.shape
    rows = settings.reshape(-1, dimensions)
    by_tree = np.stack([tree.predict(rows) for tree in forest.estimators_]).reshape(-1, repeats, trials)
    return (by_tree * unseen[:, np.newaxis]).sum(axis=0) / unseen.sum(axis=0)


def _r2(scores: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Returns the share of the scores' variance that each row of `predicted`, (repeats, trials), explains."""
    return 1 - ((scores - predicted) ** 2).mean(axis=1) / scores.var()


def _share_out(names: list[str], falls: np.ndarray) -> tuple[Share, ...]:
    """Returns the falls of R^2, (hyperparameters, shuffles), as shares of their sum, greatest first."""
    means, sds = falls.mean(axis=1), falls.std(axis=1)
    total = means.clip(min=0).sum() or 1.0  # nothing to share out where no shuffle did harm
    shares = [Share(name, float(m / total), float(s / total)) for name, m, s in zip(names, means, sds, strict=True)]
    return tuple(sorted(shares, key=lambda share: -share.mean))
