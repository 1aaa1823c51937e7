import pytest
import tensorflow as tf

from shiftvit.callbacks import CSVHistory
from shiftvit.config import TrainConfig
from shiftvit.optimizer import make_optimizer
from shiftvit.training_record import HISTORY_FILE, read_history


def test_a_repeated_epoch_replaces_its_row(tmp_path):
    """As after a kill between the CSV row and the checkpoint of an epoch."""
    history = CSVHistory(str(tmp_path / HISTORY_FILE))
    history.set_model(model_with_schedule())
    for epoch, loss in ((0, 3.0), (1, 2.0), (1, 1.5)):
        history.on_epoch_end(epoch, {"loss": loss})

    rows = read_history(tmp_path)
    assert [(row["epoch"], row["loss"]) for row in rows] == [(1, 3.0), (2, 1.5)]
    assert [path.name for path in tmp_path.iterdir()] == [HISTORY_FILE]


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_learning_rate_is_that_of_the_last_update(tmp_path, ema_decay):
    """The schedule has 2 of 8 steps of warmup, so step 5, the last of six, is halfway down the cosine."""
    model = model_with_schedule(learning_rate=0.004, warmup_fraction=0.25, ema_decay=ema_decay)
    model.fit(tf.zeros((6, 1)), tf.zeros((6, 1)), batch_size=1, verbose=0)
    history = CSVHistory(str(tmp_path / HISTORY_FILE))
    history.set_model(model)

    history.on_epoch_end(0, {"loss": 1.0})

    assert read_history(tmp_path)[0]["learning_rate"] == pytest.approx(0.002)


def model_with_schedule(**settings):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
    model.compile(make_optimizer(TrainConfig(**settings), 8, model.trainable_variables), "mse")
    return model
