"""What happens beside the updates: the history, the report of progress, and the stop of a training that diverged."""

import csv
import math
import os
import tempfile

import tensorflow as tf

from shiftvit import progress
from shiftvit.cluster import is_chief
from shiftvit.errors import UserError
from shiftvit.metrics import LOSS, OBJECTIVE


class StopOnDivergence(tf.keras.callbacks.Callback):
    """Ends training with a UserError as soon as the loss is not finite, before the state of the epoch is kept.

    state_dir: where the state after each epoch is kept, to be named in the message.
    """

    def __init__(self, state_dir: str):
        super().__init__()
        self.state_dir, self.epoch = state_dir, 0

    def on_epoch_begin(self, epoch, logs=None):
        """Notes which epoch runs."""
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the mean loss of the epoch so far, which stays infinite or NaN once it was."""
        self._check(logs[LOSS])

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the loss on the eval split, which sees the last update."""
        self._check(logs[f"val_{LOSS}"])

    def _check(self, loss: float) -> None:
        if math.isfinite(loss):
            return
        optimizer = self.model.optimizer
        updates = int(optimizer.iterations.numpy())
        rate = _last_rate(optimizer)
        kept = f"the state after epoch {self.epoch} is in {self.state_dir}" if self.epoch else "no epoch had ended"
        raise UserError(
            f"training diverged at step {updates}, in epoch {self.epoch + 1}, at a learning rate of {rate:.3g}: the "
            f"loss is not finite ({kept}); lower train.learning_rate or set train.clip_norm"
        )


class KeepHistory(tf.keras.callbacks.Callback):
    """Writes a CSV file with a row for each epoch; an epoch that is run again, because of a kill, replaces its row.

    Beside what Keras measured, a row has `learning_rate`: that of the last update.
    """

    def __init__(self, path: str):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        """Adds the row of the epoch."""
        rows = [row for row in self._read() if int(row["epoch"]) < epoch] + [
            {"epoch": epoch, **logs, "learning_rate": _last_rate(self.model.optimizer)}
        ]
        unfinished = f"{self.path}.partial"
        with tf.io.gfile.GFile(unfinished, "w") as file:
            writer = csv.DictWriter(file, rows[-1], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        tf.io.gfile.rename(unfinished, self.path, overwrite=True)

    def _read(self) -> list[dict[str, str]]:
        if not tf.io.gfile.exists(self.path):
            return []
        with tf.io.gfile.GFile(self.path) as file:
            return list(csv.DictReader(file))


class KeepState(tf.keras.callbacks.Callback):
    """Keeps the model, its optimizer and how many epochs are done, after each epoch, for a training that goes on.

    In place of Keras's BackupAndRestore, which restores when the input pipeline is made already: only who knows the
    position before can make it go on from there.

    model: compiled.
    directory: to be the same for every attempt, and for every worker, of which only the chief writes there.
    """

    def __init__(self, model: tf.keras.Model, directory: str):
        super().__init__()
        self.directory = directory
        self._epochs = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(model=model, epochs=self._epochs)
        # Each worker must save, for values that are spread over all of them.
        self._own = directory if is_chief() else tempfile.mkdtemp()
        self._manager = tf.train.CheckpointManager(self._checkpoint, self._own, max_to_keep=1)

    def restore(self) -> int:
        """Returns how many epochs are done, after taking over the state; 0 where there is none yet."""
        kept = tf.train.latest_checkpoint(self.directory)
        if kept:
            self._checkpoint.restore(kept).expect_partial()  # the optimizer's rest is made at its first step
        self._remove_unfinished()
        return int(self._epochs.numpy())

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the state in place of the last one, which stays until the new one is whole."""
        self._epochs.assign(epoch + 1)
        try:
            self._manager.save()
        except tf.errors.OpError:
            self._remove_unfinished()
            raise

    def _remove_unfinished(self) -> None:
        """Removes what a save that failed, or was killed, left beside the last state."""
        kept = tf.train.latest_checkpoint(self._own)
        whole = ("checkpoint", *([f"{os.path.basename(kept)}."] if kept else []))
        for name in tf.io.gfile.listdir(self._own) if tf.io.gfile.exists(self._own) else ():
            path = os.path.join(self._own, name)
            if name.startswith(whole):
                continue
            if tf.io.gfile.isdir(path):
                tf.io.gfile.rmtree(path)
            else:
                tf.io.gfile.remove(path)

    def on_train_end(self, logs=None):
        """Removes what a worker that is not the chief wrote for nobody."""
        if self._own != self.directory:
            tf.io.gfile.rmtree(self._own)


class ReportProgress(tf.keras.callbacks.Callback):
    """Reports in epochs how far training is, with the newest loss and accuracy."""

    def __init__(self, stage: str):
        super().__init__()
        self.stage, self.epoch, self.evaluated = stage, 0, {}

    def on_epoch_begin(self, epoch, logs=None):
        """Notes which epoch runs."""
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Reports, some fifty times an epoch."""
        steps = self.params["steps"]
        if batch % max(steps // 50, 1) == 0:
            self._report(self.epoch + (batch + 1) / steps, logs)

    def on_epoch_end(self, epoch, logs=None):
        """Reports, with the accuracy on the eval split."""
        self.evaluated = {OBJECTIVE: logs[OBJECTIVE]}
        self._report(epoch + 1, logs)

    def _report(self, done: float, logs) -> None:
        progress.report(self.stage, done, self.params["epochs"], "epoch", **{LOSS: logs[LOSS]}, **self.evaluated)


def _last_rate(optimizer: tf.keras.optimizers.Optimizer) -> float:
    return float(optimizer.learning_rate(max(int(optimizer.iterations.numpy()) - 1, 0)))
