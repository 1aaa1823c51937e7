"""Says how many seconds a trial takes on this machine: `python -m tuner.measure_trial FOLDER`, by a few steps of it."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from shiftvit.input_pipeline import count_records, evaluation_batches, training_batches
from shiftvit.strategy import make_strategy
from shiftvit.train import compile_model, steps_per_epoch
from tuner.search_folder import SearchFolder, Task

_STEPS = 5


class Stopwatch(tf.keras.callbacks.Callback):
    """Notes when each batch ends."""

    def __init__(self):
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch, logs=None):
        """Notes it for a training batch."""
        self.ends.append(time.monotonic())

    on_test_batch_end = on_train_batch_end

    def pace(self) -> float:
        """Returns the mean seconds of a batch, the first aside: with it the step is compiled."""
        return (self.ends[-1] - self.ends[0]) / max(len(self.ends) - 1, 1)


def measure(task: Task) -> float:
    """Returns the seconds of a trial, by a few batches of training and of evaluation."""
    started, train = time.monotonic(), task.experiment.train
    make_strategy(train.replicas)  # before TensorFlow starts, to count the records say
    steps = steps_per_epoch(train, task.train_files)
    model = compile_model(task.experiment, steps * train.epochs)
    training, evaluation = Stopwatch(), Stopwatch()
    batches = training_batches(task.train_files, train.batch_size, task.experiment.data, train.seed, True)
    model.fit(batches, steps_per_epoch=min(steps, _STEPS), verbose=0, callbacks=[training])
    records = evaluation_batches(task.eval_files, train.batch_size)
    tests = -(-count_records(task.eval_files) // train.batch_size)
    model.evaluate(records, steps=min(tests, _STEPS), verbose=0, callbacks=[evaluation])
    start = training.ends[0] - started
    return start + train.epochs * (steps * training.pace() + tests * evaluation.pace())


def main(arguments: Sequence[str]) -> None:
    """Prints the seconds."""
    print(measure(SearchFolder(Path(arguments[0])).load_task()))


if __name__ == "__main__":
    main(sys.argv[1:])
