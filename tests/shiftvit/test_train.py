import dataclasses
import logging

import numpy as np
import pytest
import tensorflow as tf
import trainings
from known_data import CIFAR10

from shiftvit import train
from shiftvit.callbacks import ReportProgress, StopOnDivergence
from shiftvit.config import DataConfig
from shiftvit.dataset import TrainingData
from shiftvit.errors import ConfigError, UserError
from shiftvit.features import EVAL, TRAIN, split_folder
from shiftvit.input_pipeline import evaluation_batches, training_batches
from shiftvit.model import build_network
from shiftvit.official_weights import to_official
from shiftvit.optimizer import SwapEMAWeights, adamw
from shiftvit.progress import EVENT, LOGGER
from shiftvit.strategy import make_strategy
from shiftvit.training_record import read_history

PLAIN = DataConfig(crop_padding=0, flip=False)


def run(config, examples, folder, **options):
    """Trains with progress reports, and returns the model."""
    return train.train(
        config,
        [f"{split_folder(examples, TRAIN)}/*"],
        [f"{split_folder(examples, EVAL)}/*"],
        resume_dir=str(folder / "resume"),
        callbacks=[ReportProgress("train")],
        **options,
    )


@pytest.fixture(scope="module")
def trained(drawn_examples, tmp_path_factory):
    """The folder and the progress events of a training of 8 epochs."""
    events, folder = [], tmp_path_factory.mktemp("trained")
    handler = logging.Handler()
    handler.emit = lambda record: events.append(getattr(record, EVENT))
    LOGGER.addHandler(handler)
    run(trainings.experiment(epochs=8), drawn_examples, folder)
    LOGGER.removeHandler(handler)
    return folder, events


def test_training_learns_and_records_every_epoch(trained):
    history = read_history(trained[0] / "resume")

    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert set(history[0]) == {"epoch", "loss", "top1", "top5", "val_loss", "val_top1", "val_top5", "learning_rate"}
    assert history[-1]["loss"] < history[0]["loss"] - 0.15
    assert history[-1]["top5"] > 0.65


def test_training_reports_progress(trained):
    events = trained[1]

    assert {(event["stage"], event["total"], event["unit"]) for event in events} == {("train", 8, "epoch")}
    done = [event["done"] for event in events]
    assert done == sorted(done) and done[-1] == 8 and 0 < done[0] < 1
    assert set(events[-1]["metrics"]) == {"loss", "val_top1"}


def test_divergence_is_reported_with_step_and_rate(drawn_examples, tmp_path):
    with pytest.raises(
        UserError, match=r"at step \d+, in epoch 1, at a learning rate of (1|0\.\d+): .*no epoch was finished"
    ):
        run(trainings.diverging_experiment(), drawn_examples, tmp_path)


@pytest.mark.parametrize(("moment", "updates", "step"), [("on_epoch_begin", 8, 9), ("on_test_begin", 16, 16)])
def test_later_divergence_names_the_last_checkpoint(drawn_examples, moment, updates, step):
    """The weights become infinite at the start of the second epoch, or of its evaluation."""
    config = trainings.experiment(epochs=2, warmup_fraction=0.0)
    model = train.compile_model(config, CIFAR10, 16)
    spoil = tf.keras.callbacks.Callback()
    setattr(
        spoil,
        moment,
        lambda *_, **__: model.optimizer.iterations < updates or model.weights[0].assign(model.weights[0] * np.inf),
    )
    rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * (step - 1) / 16))

    with pytest.raises(UserError) as caught:
        train.fit(
            model,
            config,
            TrainingData(CIFAR10, *([f"{split_folder(drawn_examples, split)}/*"] for split in (TRAIN, EVAL))),
            8,
            [spoil, StopOnDivergence("CHECKPOINT")],
        )

    assert f"at step {step}, in epoch 2, at a learning rate of {rate:.3g}" in str(caught.value)
    assert "(epoch 1 is saved in CHECKPOINT)" in str(caught.value)


def test_averaged_weights_are_evaluated_and_returned(drawn_examples, tmp_path):
    """The history and the returned model agree."""
    files = [f"{split_folder(drawn_examples, EVAL)}/*"]
    config = trainings.experiment(epochs=2, ema_decay=0.9)

    model = run(config, drawn_examples, tmp_path)

    returned = model.get_weights()
    adamw.assign_averages(model.optimizer, model.trainable_variables)
    for weight, average in zip(returned, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, average)
    recorded = read_history(tmp_path / "resume")[-1]["val_loss"]
    assert model.evaluate(evaluation_batches(files, CIFAR10, 32), verbose=0)[0] == pytest.approx(recorded, rel=1e-6)


@pytest.mark.slow
def test_evaluation_restores_the_trained_weights(drawn_examples):
    """Two epochs with and without an evaluation between them end with the same weights."""
    ended = []
    for evaluated in (True, False):
        config = trainings.experiment(epochs=2, ema_decay=0.99)
        model = train.compile_model(config, CIFAR10, 16)
        batches = training_batches([f"{split_folder(drawn_examples, TRAIN)}/*"], CIFAR10, 32, config.data, 0)
        validation = evaluation_batches([f"{split_folder(drawn_examples, EVAL)}/*"], CIFAR10, 32) if evaluated else None
        model.fit(
            batches, epochs=2, steps_per_epoch=8, validation_data=validation, verbose=0, callbacks=[SwapEMAWeights()]
        )
        ended.append(model.get_weights())

    for with_evaluation, without in zip(*ended, strict=True):
        np.testing.assert_allclose(with_evaluation, without, rtol=1e-4, atol=1e-6)


def test_training_accepts_mixed_images(drawn_examples, tmp_path):
    config = trainings.experiment(epochs=1)
    config = dataclasses.replace(config, data=DataConfig(mixup=0.5, cutmix=0.5, erasing=0.5, randaugment_ops=1))

    run(config, drawn_examples, tmp_path)

    row = read_history(tmp_path / "resume")[0]
    assert np.isfinite(row["loss"]) and 0 <= row["top1"] <= row["top5"] <= 1


@pytest.mark.slow
def test_with_an_accelerator_the_training_step_augments_and_is_compiled(drawn_examples, tmp_path, monkeypatch):
    """The GPU's code path, on the CPU: the same losses without augmentation, different ones with it."""
    losses = []
    for accelerated, data in ((False, PLAIN), (True, PLAIN), (True, DataConfig(mixup=0.5, randaugment_ops=1))):
        monkeypatch.setattr(train, "_has_gpu", lambda accelerated=accelerated: accelerated)
        config = dataclasses.replace(trainings.experiment(epochs=3), data=data)
        folder = tmp_path / str(len(losses))
        model = run(config, drawn_examples, folder)
        assert bool(model.augmentation) is accelerated and model.jit_compile is accelerated
        losses.append(read_history(folder / "resume")[-1]["loss"])

    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert abs(losses[2] - losses[1]) > 1e-3


@pytest.mark.slow
def test_steps_per_execution_does_not_change_the_result(drawn_examples, tmp_path):
    losses = []
    for bundle in (1, 3):
        folder = tmp_path / str(bundle)
        run(trainings.experiment(epochs=1, steps_per_execution=bundle), drawn_examples, folder)
        losses.append(read_history(folder / "resume")[0]["loss"])

    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_training_can_start_from_official_weights(tmp_path):
    config = trainings.experiment()
    donor = train.compile_model(config, CIFAR10, 1).get_layer("shiftvit")
    np.savez(tmp_path / "official.npz", **to_official(donor))

    started = train.compile_model(
        trainings.experiment(seed=7, initial_weights=str(tmp_path / "official.npz")), CIFAR10, 1
    )

    for ours, theirs in zip(started.get_weights(), donor.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_of_another_network_are_refused_with_their_path(tmp_path):
    file = str(tmp_path / "official.npz")
    np.savez(file, **to_official(build_network(dataclasses.replace(trainings.experiment().model, dims=(16, 48)))))

    with pytest.raises(ConfigError, match=rf"train.initial_weights={file}: the weights belong to another network"):
        train.check_initial_weights(trainings.experiment().model, file)


def test_a_head_with_other_classes_is_reported_before_training(tmp_path):
    file = str(tmp_path / "official.npz")
    np.savez(file, **to_official(build_network(dataclasses.replace(trainings.experiment().model, num_classes=7))))

    notes = train.check_initial_weights(trainings.experiment().model, file)

    assert notes == ["the head of 7 classes was not loaded: this network has 10"]


def test_an_epoch_has_the_full_batches_of_the_split_by_default(drawn_examples):
    files = [f"{split_folder(drawn_examples, TRAIN)}/*"]

    assert train.steps_per_epoch(trainings.experiment(batch_size=100).train, files) == 2
    assert train.steps_per_epoch(trainings.experiment(batch_size=100, steps_per_epoch=9).train, files) == 9


def test_fewer_images_than_a_batch_are_refused(drawn_examples):
    with pytest.raises(ConfigError, match=r"train\.batch_size=257 is more than the 256 images of the training split"):
        train.steps_per_epoch(trainings.experiment(batch_size=257).train, [f"{split_folder(drawn_examples, TRAIN)}/*"])


def test_cpu_devices_must_be_declared_before_tensorflow_starts():
    tf.zeros(1).numpy()  # TensorFlow starts

    with pytest.raises(ConfigError, match=r"train\.replicas=2 must be set before TensorFlow starts"):
        make_strategy(2)


def test_a_process_has_one_strategy():
    assert make_strategy(0) is make_strategy(0)


def test_precision_resolves_to_a_keras_policy():
    assert train.resolve_precision("float32") == "float32"
    assert train.resolve_precision("mixed_bfloat16") == "mixed_bfloat16"
    assert train.resolve_precision("auto") in ("float32", "mixed_bfloat16")


def test_initial_weights_depend_on_the_seed_only():
    first, again, other = (
        train.compile_model(trainings.experiment(seed=seed), CIFAR10, 10).get_weights() for seed in (1, 1, 2)
    )

    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_training_stopped_early_equals_the_start_of_the_full_one(trained, drawn_examples, tmp_path):
    run(trainings.experiment(epochs=8), drawn_examples, tmp_path, until_epoch=2)

    stopped, full = (read_history(f / "resume") for f in (tmp_path, trained[0]))
    assert len(stopped) == 2
    for ours, theirs in zip(stopped, full, strict=False):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4), "the schedule must span eight epochs"


@pytest.mark.slow
def test_a_training_stopped_early_can_be_resumed(trained, drawn_examples, tmp_path):
    run(trainings.experiment(epochs=8), drawn_examples, tmp_path, until_epoch=1)
    model = run(trainings.experiment(epochs=8), drawn_examples, tmp_path, until_epoch=3)

    assert model.history.epoch == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_only_kernels_decay_under_a_strategy(ema_decay):
    """The strategy hands each replica's copies of the variables to the optimizer."""
    without, decayed = one_update(0.0, ema_decay), one_update(10.0, ema_decay)

    for (name, before, after), (_, _, ours) in zip(without, decayed, strict=True):
        expected = after - 10.0 * 0.01 * before if "kernel" in name else after
        np.testing.assert_allclose(ours, expected, atol=1e-5, err_msg=name)


def one_update(weight_decay, ema_decay):
    """Makes one update at a rate of 0.01; returns the name of each variable and its values before and after."""
    config = trainings.experiment(
        learning_rate=0.01, warmup_fraction=0.0, weight_decay=weight_decay, ema_decay=ema_decay
    )
    model = train.compile_model(config, CIFAR10, total_steps=1)
    begun = [weight.numpy() for weight in model.trainable_variables]
    model.fit(np.zeros((32, 32, 32, 3), np.uint8), np.zeros(32, np.int64), batch_size=32, verbose=0)
    return [(w.name, before, w.numpy()) for w, before in zip(model.trainable_variables, begun, strict=True)]
