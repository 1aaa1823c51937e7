"""Keras callbacks: the CSV of metrics, the checkpoint to resume from, progress, and the stop at divergence."""

import csv
import logging
import math
import os
import tempfile

import tensorflow as tf

from shiftvit import progress
from shiftvit.cluster import is_chief
from shiftvit.errors import UserError
from shiftvit.files import paths
from shiftvit.files.lease import Lease
from shiftvit.metrics import LOSS, OBJECTIVE, of_eval
from shiftvit.optimizer import last_rate

_LOGGER = logging.getLogger(__name__)

Logs = dict[str, float]  # the metrics that Keras hands to a callback, by name


class StopOnDivergence(tf.keras.callbacks.Callback):
    """Raises UserError as soon as the loss is not finite. List it before EpochCheckpoint, to keep the last good one.

    Args:
        checkpoint_dir: of EpochCheckpoint, for the message.
    """

    def __init__(self, checkpoint_dir: str) -> None:
        super().__init__()
        self.checkpoint_dir, self.epoch = checkpoint_dir, 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        """Checks the mean loss of the epoch so far, which never becomes finite again."""
        self._check(logs[LOSS])

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Checks the eval loss, the first one computed after the epoch's last update."""
        self._check(logs[of_eval(LOSS)])

    def _check(self, loss: float) -> None:
        if math.isfinite(loss):
            return
        optimizer = self.model.optimizer
        saved = f"epoch {self.epoch} is saved in {self.checkpoint_dir}" if self.epoch else "no epoch was finished"
        raise UserError(
            f"training diverged at step {int(optimizer.iterations.numpy())}, in epoch {self.epoch + 1}, at a learning "
            f"rate of {last_rate(optimizer):.3g}: the loss is not finite ({saved}); lower train.learning_rate or set "
            "train.clip_norm"
        )


class CSVHistory(tf.keras.callbacks.Callback):
    """Writes a CSV file with a row of metrics per epoch; a repeated epoch, after a kill, replaces its row.

    Unlike Keras's CSVLogger it writes the file atomically, and adds the learning rate of the epoch's last update.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        rows = [row for row in self._read() if int(row["epoch"]) < epoch] + [
            {"epoch": epoch, **logs, "learning_rate": last_rate(self.model.optimizer)}
        ]
        partial = f"{self.path}.partial"
        with tf.io.gfile.GFile(partial, "w") as file:
            writer = csv.DictWriter(file, rows[-1], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        tf.io.gfile.rename(partial, self.path, overwrite=True)

    def _read(self) -> list[dict]:
        if not tf.io.gfile.exists(self.path):
            return []
        with tf.io.gfile.GFile(self.path) as file:
            return list(csv.DictReader(file))


class EpochCheckpoint(tf.keras.callbacks.Callback):
    """Saves the model, its optimizer and the number of finished epochs after each epoch; keeps the last one.

    Keras's BackupAndRestore restores only after the input pipeline exists, too late to start that at the right batch.

    Args:
        model: a compiled model.
        directory: the same for every attempt and every worker, though only the chief writes there.
    """

    def __init__(self, model: tf.keras.Model, directory: str) -> None:
        super().__init__()
        self.directory = directory
        self._epochs = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(model=model, epochs=self._epochs)
        # Every worker must save, because some variables are spread over all of them.
        self._is_temporary = not is_chief()
        self._own = tempfile.mkdtemp() if self._is_temporary else paths.plain(directory)
        self._manager = tf.train.CheckpointManager(self._checkpoint, self._own, max_to_keep=1)

    def restore(self) -> int:
        """Restores the last checkpoint; returns the number of finished epochs, 0 if there is none."""
        latest = tf.train.latest_checkpoint(paths.plain(self.directory))
        if latest:
            self._checkpoint.restore(latest).expect_partial()  # the optimizer creates its slots at the first step
            _LOGGER.info("%s: resumes after epoch %d", self.directory, int(self._epochs.numpy()))
        self._remove_unfinished()
        return int(self._epochs.numpy())

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Saves; the previous checkpoint is removed once the new one is complete."""
        self._epochs.assign(epoch + 1)
        try:
            self._manager.save()
        except tf.errors.OpError:
            self._remove_unfinished()
            raise

    def _remove_unfinished(self) -> None:
        """Removes the files of a save that failed or was killed."""
        latest = tf.train.latest_checkpoint(self._own)
        finished = ("checkpoint", *([f"{os.path.basename(latest)}."] if latest else []))
        for name in tf.io.gfile.listdir(self._own) if tf.io.gfile.exists(self._own) else ():
            path = os.path.join(self._own, name)
            if name.startswith(finished):
                continue
            if tf.io.gfile.isdir(path):
                tf.io.gfile.rmtree(path)
            else:
                tf.io.gfile.remove(path)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Removes the copy of a worker that is not the chief."""
        if self._is_temporary:
            tf.io.gfile.rmtree(self._own)


class CheckLease(tf.keras.callbacks.Callback):
    """Ends the training before an epoch is saved, if another process took over the folder of its state.

    Args:
        lease: of the folder.

    Raises:
        UserError: see `Lease.check`.
    """

    def __init__(self, lease: Lease) -> None:
        super().__init__()
        self.lease = lease

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Checks after the evaluation of an epoch, which all callbacks that save follow."""
        self.lease.check()


class ReportProgress(tf.keras.callbacks.Callback):
    """Reports progress in epochs, about fifty times an epoch, with the latest loss and objective."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self.stage, self.epoch = stage, 0
        self.evaluated: Logs = {}

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        steps = self.params["steps"]
        if batch % max(steps // 50, 1) == 0:
            self._report(self.epoch + (batch + 1) / steps, logs)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self.evaluated = {OBJECTIVE: logs[OBJECTIVE]}
        self._report(epoch + 1, logs)

    def _report(self, done: float, logs: Logs) -> None:
        progress.report(self.stage, done, self.params["epochs"], "epoch", **{LOSS: logs[LOSS]}, **self.evaluated)
