"""The early end of hopeless trials: the median stopping rule (Golovin et al., "Google Vizier", KDD 2017)."""

import statistics
from collections.abc import Mapping, Sequence

import tensorflow as tf

from tuner.search_folder import SearchFolder

_ENOUGH = 3  # trials to compare with; a median of fewer says little
_PATIENCE = 1 / 3  # of the epochs that every trial gets

Curve = Sequence[Mapping[str, float]]


def reason_to_stop(curve: Curve, others: Sequence[Curve], objective: str, greater: bool, epochs: int) -> str | None:
    """Returns in a sentence why a trial is hopeless: its best is worse than the median of the others' means so far.

    Args:
        curve: a row for each of its finished epochs, at least one.
        others: the curves of the other trials; those that have come as far are compared with.
        objective: the column that is compared.
        greater: whether greater is better.
        epochs: of a whole trial.
    """
    done = len(curve)
    means = [statistics.fmean(row[objective] for row in other[:done]) for other in others if len(other) >= done]
    if done < epochs * _PATIENCE or len(means) < _ENOUGH:
        return None
    best = (max if greater else min)(row[objective] for row in curve)
    median = statistics.median(means)
    if best >= median if greater else best <= median:
        return None
    return (
        f"stopped after {done} of {epochs} epochs: its best {objective}, {best:.4g}, is worse than {median:.4g}, "
        f"the median of what {len(means)} other trials had in the mean up to there"
    )


class StopHopeless(tf.keras.callbacks.Callback):
    """Ends training after an epoch by the median stopping rule; `reason` then says why."""

    def __init__(self, folder: SearchFolder, trial_id: str, objective: str, greater_is_better: bool):
        super().__init__()
        self.folder, self.trial_id = folder, trial_id
        self.objective, self.greater_is_better = objective, greater_is_better
        self.reason: str | None = None

    def on_epoch_end(self, epoch, logs=None):
        """Compares, unless it was the last epoch anyway."""
        own = self.folder.trial(self.trial_id)
        epochs = self.params["epochs"]
        if epoch + 1 < epochs:
            others = [trial.curve() for trial in self.folder.trials() if trial.path != own.path]
            self.reason = reason_to_stop(own.curve(), others, self.objective, self.greater_is_better, epochs)
            self.model.stop_training = self.reason is not None
