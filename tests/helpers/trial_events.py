"""Events about the trials of a search."""

import dataclasses

from shiftvit.progress import TrialStatus


def trial(number, state="completed", score=None, **changes):
    """Returns a trial of five epochs; `changes` replace its other entries."""
    defaults = {
        "epochs": 5,
        "total_epochs": 5,
        "seconds": 62.0,
        "cause": None,
        "values": {"train.learning_rate": 0.002, "model.drop_path": 0.1},
        "worker": "worker0",
    }
    return TrialStatus(f"{number:02}", state, score, **defaults | changes)


def trials(*statuses, greater_is_better=True):
    """Returns the event as the process of the run sends it."""
    return {
        "event": "trials",
        "trials": [dataclasses.asdict(status) for status in statuses],
        "greater_is_better": greater_is_better,
    }
