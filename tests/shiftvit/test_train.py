import logging

import numpy as np
import pytest
import tensorflow as tf
import trainings

from shiftvit import train
from shiftvit.errors import ConfigError, UserError
from shiftvit.progress import FACTS, LOGGER


def run(config, examples, folder):
    return train.train(
        config,
        [f"{examples}/Split-train/*"],
        [f"{examples}/Split-eval/*"],
        resume_dir=str(folder / "resume"),
        log_dir=str(folder / "logs"),
    )


@pytest.fixture(scope="module")
def trained(drawn_examples, tmp_path_factory):
    """A training of 8 epochs: its folder, and the facts it reported."""
    facts, folder = [], tmp_path_factory.mktemp("trained")
    handler = logging.Handler()
    handler.emit = lambda record: facts.append(getattr(record, FACTS))
    LOGGER.addHandler(handler)
    run(trainings.experiment(epochs=8), drawn_examples, folder)
    LOGGER.removeHandler(handler)
    return folder, facts


def test_training_learns_and_keeps_a_row_for_each_epoch(trained):
    history = trainings.read_history(trained[0] / "resume" / train.HISTORY_FILE)

    assert [row["epoch"] for row in history] == list(range(8))
    assert set(history[0]) == {"epoch", "loss", "top1", "top5", "val_loss", "val_top1", "val_top5"}
    assert history[-1]["loss"] < history[0]["loss"] - 0.15
    assert history[-1]["top5"] > 0.65


def test_an_epoch_that_is_run_again_replaces_its_row(tmp_path):
    """As after a kill between the row of an epoch and the state after it."""
    history = train.KeepHistory(str(tmp_path / "history.csv"))
    for epoch, loss in ((0, 3.0), (1, 2.0), (1, 1.5)):
        history.on_epoch_end(epoch, {"loss": loss})

    rows = trainings.read_history(tmp_path / "history.csv")
    assert rows == [{"epoch": 0, "loss": 3.0}, {"epoch": 1, "loss": 1.5}]
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


def test_training_reports_how_far_it_is(trained):
    facts = trained[1]

    assert {(fact["stage"], fact["total"], fact["unit"]) for fact in facts} == {("train", 8, "epoch")}
    done = [fact["done"] for fact in facts]
    assert done == sorted(done) and done[-1] == 8 and 0 < done[0] < 1
    assert set(facts[-1]["metrics"]) == {"loss", "val_top1"}


def test_training_leaves_logs_for_tensorboard(trained):
    assert list(trained[0].glob("logs/train/events*")) and list(trained[0].glob("logs/validation/events*"))


def test_a_training_that_diverges_is_told_and_leaves_nothing_to_resume(drawn_examples, tmp_path):
    with pytest.raises(UserError, match=r"training diverged in epoch \d .*lower train.learning_rate, now 1e\+30"):
        run(trainings.experiment(epochs=3, learning_rate=1e30, clip_norm=0.0), drawn_examples, tmp_path)

    assert not (tmp_path / "resume").exists()


def test_an_epoch_is_the_full_batches_of_the_split_unless_it_is_said_otherwise(drawn_examples):
    files = [f"{drawn_examples}/Split-train/*"]

    assert train.steps_per_epoch(trainings.experiment(batch_size=100).train, files) == 2
    assert train.steps_per_epoch(trainings.experiment(batch_size=100, steps_per_epoch=9).train, files) == 9


def test_less_than_one_batch_of_images_is_refused(drawn_examples):
    with pytest.raises(ConfigError, match=r"train\.batch_size=257 is more than the 256 images of the training split"):
        train.steps_per_epoch(trainings.experiment(batch_size=257).train, [f"{drawn_examples}/Split-train/*"])


def test_devices_declared_too_late_are_told():
    tf.zeros(1).numpy()  # TensorFlow starts

    with pytest.raises(ConfigError, match=r"train\.replicas=2 must be set before TensorFlow starts"):
        train.make_strategy(2)


def test_a_process_has_one_strategy():
    assert train.make_strategy(0) is train.make_strategy(0)


def test_precision_is_as_asked_and_auto_is_one_of_the_two():
    assert train.resolve_precision("float32") == "float32"
    assert train.resolve_precision("mixed_bfloat16") == "mixed_bfloat16"
    assert train.resolve_precision("auto") in ("float32", "mixed_bfloat16")


def test_the_seed_decides_the_first_weights():
    first, again, other = (train.compile_model(trainings.experiment(seed=seed), 10).get_weights() for seed in (1, 1, 2))

    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))
