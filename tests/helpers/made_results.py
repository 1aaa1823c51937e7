"""Made-up results of searches, for the tests of the report."""

import math

from tuner.results import COMPLETED, FAILED, RUNNING, STOPPED, Budget, Dimension, Results, Trial

RATE = Dimension("train.learning_rate", 0.002, low=0.0005, high=0.008, log=True)
NORM = Dimension("model.norm", "group1", ("batch", "group1", "layer"))
OPS = Dimension("data.randaugment_ops", 0, (0, 1, 2))
MAGNITUDE = Dimension("data.randaugment_magnitude", 0.5, low=0.2, high=0.8)
SPACE = (RATE, NORM, OPS, MAGNITUDE)
UNCHANGED = {RATE.name: 0.002, NORM.name: "group1", OPS.name: 0}  # the defaults; no operation has no magnitude


def curve(*values, objective="val_top1"):
    return tuple({"epoch": epoch, "loss": 1.0, objective: value} for epoch, value in enumerate(values, 1))


def make_trial(trial_id, score=0.7, state=COMPLETED, epochs=3, objective="val_top1", seconds=60.0, **changes):
    """Returns a trial with the values of the unchanged configuration, unless `changes` has others."""
    rows = curve(*(score * epoch / epochs for epoch in range(1, epochs + 1)), objective=objective) if score else ()
    facts = {"values": UNCHANGED, "curve": rows, "worker": "0"} | changes
    return Trial(trial_id, state, score=score, seconds=seconds, epochs=epochs, **facts)


def failed_trial(trial_id, cause="out of memory", **changes):
    return make_trial(trial_id, None, FAILED, **({"epochs": 0, "cause": cause} | changes))


def stopped_trial(trial_id, score=0.4, cause="worse than the median", **changes):
    return make_trial(trial_id, score, STOPPED, **({"epochs": 1, "cause": cause} | changes))


def running_trial(trial_id, **changes):
    return make_trial(trial_id, None, RUNNING, epochs=1, **changes)


def make_results(*trials, objective="val_top1", greater=True, space=SPACE, **changes):
    facts = {"epochs": 3, "budget": Budget(20, 60, 2), "seconds": 100.0} | changes
    return Results("bayesian", objective, greater, space, trials, **facts)


def trials_by_rate(count=12):
    """Returns trials whose score depends on their learning rate alone."""
    rates = [0.0005 * 1.25**number for number in range(count)]
    return [
        make_trial(f"{number:02}", 0.5 + 30 * rate, values={**UNCHANGED, RATE.name: rate})
        for number, rate in enumerate(rates)
    ]


SEARCHES = {
    "no trials": make_results(),
    "no score": make_results(running_trial("00")),
    "all failed": make_results(failed_trial("00"), failed_trial("01")),
    "single": make_results(make_trial("00")),
    "no space": make_results(make_trial("00", values={}), make_trial("01", 0.8, values={}), space=()),
    "one dimension": make_results(*trials_by_rate(), space=(RATE,)),
    "equal scores": make_results(*(make_trial(f"{number:02}") for number in range(9))),
    "one epoch": make_results(make_trial("00", epochs=1), epochs=1),
    "no budget": make_results(make_trial("00"), budget=Budget(), seconds=0.0),
    "not finite": make_results(make_trial("00"), make_trial("01", 0.9), make_trial("02", math.inf, curve=())),
    "all states": make_results(*trials_by_rate(), failed_trial("12"), stopped_trial("13"), running_trial("14")),
}
