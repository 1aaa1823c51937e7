import json

import numpy as np
import pytest
import trainings

from shiftvit.training_record import read_history

pytestmark = pytest.mark.slow


def test_one_and_two_replicas_have_the_same_losses(drawn_examples, tmp_path):
    losses = {}
    for replicas in (1, 2):
        # One update per epoch, so that the history has every loss; the evaluations use averaged weights.
        config = trainings.experiment(epochs=20, steps_per_epoch=1, replicas=replicas, seed=3, ema_decay=0.5)
        ended = trainings.attempt(config, drawn_examples, tmp_path / str(replicas))
        assert ended.returncode == 0, ended.stderr
        result = json.loads(ended.stdout.splitlines()[-1])
        assert (result["updates"], result["replicas"]) == (20, replicas)
        rows = read_history(tmp_path / str(replicas) / "resume")
        losses[replicas] = np.array([[row["loss"], row["val_loss"], row["val_top1"]] for row in rows])

    assert losses[1].shape == (20, 3)
    assert losses[1][-1, 1] < losses[1][0, 1] - 1e-3, "a training that does not learn compares nothing"
    np.testing.assert_allclose(losses[2], losses[1], atol=1e-4)
