import trainings

from shiftvit.callbacks import KeepHistory


def test_an_epoch_that_is_run_again_replaces_its_row(tmp_path):
    """As after a kill between the row of an epoch and the state after it."""
    history = KeepHistory(str(tmp_path / "history.csv"))
    for epoch, loss in ((0, 3.0), (1, 2.0), (1, 1.5)):
        history.on_epoch_end(epoch, {"loss": loss})

    rows = trainings.read_history(tmp_path / "history.csv")
    assert rows == [{"epoch": 0, "loss": 3.0}, {"epoch": 1, "loss": 1.5}]
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]
