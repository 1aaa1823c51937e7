"""Estimates the seconds of a trial on this machine from a few of its steps: `python -m tuner.measure_trial FOLDER`."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from shiftvit.callbacks import Logs
from shiftvit.dataset import dataset_of_files
from shiftvit.input_pipeline import evaluation_batches, training_batches
from shiftvit.record_files import RecordFiles
from shiftvit.strategy import make_strategy
from shiftvit.train import compile_model, steps_per_epoch
from tuner.search_folder import SearchFolder, Task

_STEPS = 5


class Stopwatch(tf.keras.callbacks.Callback):
    """Records when each batch ends."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.ends.append(time.monotonic())

    on_test_batch_end = on_train_batch_end

    def seconds_per_batch(self) -> float:
        """Returns the mean, without the first batch, which includes the compilation."""
        return (self.ends[-1] - self.ends[0]) / max(len(self.ends) - 1, 1)


def measure(task: Task) -> float:
    """Returns the estimated seconds of a trial: start and compilation, training and evaluation."""
    started, dataset = time.monotonic(), dataset_of_files(task.train_files)
    experiment = task.experiment.for_data(dataset)
    train = experiment.train
    make_strategy(train.replicas)  # configures the devices, which must precede any use of TensorFlow
    steps = steps_per_epoch(train, task.train_files)
    model = compile_model(experiment, dataset, steps * train.epochs)
    training, evaluation = Stopwatch(), Stopwatch()
    train_batches = training_batches(task.train_files, dataset, train.batch_size, experiment.data, train.seed)
    model.fit(train_batches, steps_per_epoch=min(steps, _STEPS), verbose=0, callbacks=[training])
    eval_batches = evaluation_batches(task.eval_files, dataset, train.batch_size, memory=experiment.data.memory)
    eval_steps = -(-len(RecordFiles(task.eval_files)) // train.batch_size)
    model.evaluate(eval_batches, steps=min(eval_steps, _STEPS), verbose=0, callbacks=[evaluation])
    startup = training.ends[0] - started
    epoch = steps * training.seconds_per_batch() + eval_steps * evaluation.seconds_per_batch()
    return startup + train.epochs * epoch


def main(arguments: Sequence[str]) -> None:
    """Prints the estimate for the search in the folder."""
    print(measure(SearchFolder(Path(arguments[0])).load_task()))


if __name__ == "__main__":
    main(sys.argv[1:])
