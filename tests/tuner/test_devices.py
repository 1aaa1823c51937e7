import os

import pytest

from shiftvit.config import ExperimentConfig, TrainConfig
from shiftvit.errors import ConfigError
from tuner import devices
from tuner.config import TuneConfig


@pytest.fixture
def gpus(monkeypatch):
    """Returns a function that sets the number of GPUs TensorFlow sees."""

    def set_gpus(count, visible=None):
        monkeypatch.setattr(devices.tf.config, "list_physical_devices", lambda _: [None] * count)
        monkeypatch.delenv(devices.GPUS_VARIABLE, raising=False)
        if visible:
            monkeypatch.setenv(devices.GPUS_VARIABLE, visible)

    return set_gpus


def test_workers_share_the_gpus(gpus):
    gpus(5)

    assert [each.environment for each in devices.divide(2)] == [
        {"CUDA_VISIBLE_DEVICES": "0,1"},
        {"CUDA_VISIBLE_DEVICES": "2,3"},
    ]
    assert [each.arguments for each in devices.divide(2)] == [(), ()]


def test_only_visible_gpus_are_shared(gpus):
    gpus(2, visible="4,6")

    assert [each.environment["CUDA_VISIBLE_DEVICES"] for each in devices.divide(2)] == ["4", "6"]


def test_without_gpus_workers_share_the_cores(gpus, monkeypatch):
    gpus(0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 1, 2, 0, 4})

    assert [each.arguments for each in devices.divide(2)] == [["--cores", "0", "1"], ["--cores", "2", "3"]]
    assert [each.arguments for each in devices.divide(1)] == [()], "a single worker is not restricted"


@pytest.mark.parametrize(
    "count, tune, train, message",
    [
        (2, {"workers": 3}, {}, "tune.workers=3, but this machine has 2 GPUs"),
        (4, {"workers": 2}, {"replicas": 3, "batch_size": 6}, "train.replicas=3, but each of tune.workers=2 has 2 of"),
        (6, {"workers": 2}, {"batch_size": 64}, "train.batch_size=64 is not divisible by the 3 GPUs of each worker"),
    ],
)
def test_settings_that_do_not_fit_the_gpus_are_refused(gpus, count, tune, train, message):
    gpus(count)

    with pytest.raises(ConfigError, match=message):
        devices.check(TuneConfig(**tune), ExperimentConfig(train=TrainConfig(**train)))


def test_settings_that_fit_the_gpus_are_accepted(gpus):
    gpus(4)

    devices.check(TuneConfig(workers=2), ExperimentConfig(train=TrainConfig(replicas=2, batch_size=64)))
