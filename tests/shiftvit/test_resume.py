"""Trainings that are killed and resumed."""

import json
import signal

import pytest
import trainings

from shiftvit.training_record import read_history

pytestmark = pytest.mark.slow
# 8 updates per epoch, with everything that is random and with averaged weights.
CONFIG = trainings.random_experiment(epochs=3, ema_decay=0.9, deterministic=True, replicas=2)


@pytest.fixture(scope="module")
def resumed(drawn_examples, tmp_path_factory):
    """The folder of a training that was killed in its second epoch, and the process of the next attempt."""
    folder = tmp_path_factory.mktemp("resumed")
    killed = trainings.attempt(CONFIG, drawn_examples, folder, kill_at=1.3)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [row["epoch"] for row in read_history(folder / "resume")] == [1]
    return folder, trainings.attempt(CONFIG, drawn_examples, folder)


def result_of(ended):
    return json.loads(ended.stdout.splitlines()[-1])


def test_the_next_attempt_resumes_after_the_last_finished_epoch(resumed):
    folder, ended = resumed

    assert ended.returncode == 0, ended.stderr
    assert (result_of(ended)["epochs"], result_of(ended)["updates"]) == ([1, 2], 24)
    history = read_history(folder / "resume")
    assert [row["epoch"] for row in history] == [1, 2, 3]


def test_a_resumed_training_ends_bit_identical_to_an_uninterrupted_one(resumed, drawn_examples, tmp_path):
    folder, ended = resumed

    uninterrupted = trainings.attempt(CONFIG, drawn_examples, tmp_path)

    assert result_of(uninterrupted)["epochs"] == [0, 1, 2], uninterrupted.stderr
    assert result_of(uninterrupted)["weights"] == result_of(ended)["weights"]
    histories = [(place / "resume" / "history.csv").read_text() for place in (folder, tmp_path)]
    assert histories[0] == histories[1]


def test_a_finished_training_is_not_repeated(resumed, drawn_examples):
    folder, ended = resumed
    before = (folder / "resume" / "history.csv").stat().st_mtime_ns

    again = trainings.attempt(CONFIG, drawn_examples, folder)

    assert again.returncode == 0, again.stderr
    assert result_of(again)["epochs"] == []
    assert result_of(again)["eval_loss"] == pytest.approx(result_of(ended)["eval_loss"], rel=1e-5)
    assert (folder / "resume" / "history.csv").stat().st_mtime_ns == before
