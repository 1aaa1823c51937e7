"""Early end of hopeless trials by the median stopping rule (Golovin et al., "Google Vizier", KDD 2017)."""

import statistics
from collections.abc import Mapping, Sequence

import tensorflow as tf

from shiftvit.callbacks import Logs
from shiftvit.metrics import OBJECTIVES
from tuner.search_folder import SearchFolder

_MIN_TRIALS = 3  # to compare with: a median of fewer means little
_GRACE = 1 / 3  # share of a trial's epochs before which it is never stopped

Curve = Sequence[Mapping[str, float]]


def reason_to_stop(
    curve: Curve, others: Sequence[Curve], objective: str, greater_is_better: bool, epochs: int
) -> str | None:
    """Applies the rule: a trial is hopeless if its best value is worse than the median of the others' running means.

    Args:
        curve: a row for each finished epoch of the trial, at least one.
        others: the curves of the other trials; those with fewer epochs are ignored.
        objective: the column to compare.
        greater_is_better: whether a higher objective is better.
        epochs: of a full trial.

    Returns:
        A sentence for people, or None if the trial should continue.
    """
    done = len(curve)
    means = [statistics.fmean(row[objective] for row in other[:done]) for other in others if len(other) >= done]
    if done < epochs * _GRACE or len(means) < _MIN_TRIALS:
        return None
    best = (max if greater_is_better else min)(row[objective] for row in curve)
    median = statistics.median(means)
    if best >= median if greater_is_better else best <= median:
        return None
    return (
        f"stopped after {done} of {epochs} epochs: its best {objective}, {best:.4g}, is worse than {median:.4g}, "
        f"the median of the means of {len(means)} other trials up to that epoch"
    )


class MedianStopping(tf.keras.callbacks.Callback):
    """Applies the median stopping rule after each epoch but the last; `reason` is None until it ends the training."""

    def __init__(self, folder: SearchFolder, trial_id: str, objective: str) -> None:
        super().__init__()
        self.folder, self.trial_id, self.objective = folder, trial_id, objective
        self.reason: str | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        own = self.folder.trial(self.trial_id)
        epochs = self.params["epochs"]
        if epoch + 1 < epochs:
            others = [trial.curve() for trial in self.folder.trials() if trial.path != own.path]
            self.reason = reason_to_stop(own.curve(), others, self.objective, OBJECTIVES[self.objective], epochs)
            self.model.stop_training = self.reason is not None
