"""The presets: complete configurations by name. Imports no TensorFlow."""

from pipeline.config.settings import EvaluateConfig, GateConfig, PipelineConfig
from pipeline.config.source import FOLDER, SHAPES, TFDS
from shiftvit.config import DataConfig, ModelConfig, TrainConfig, suggest
from shiftvit.errors import ConfigError
from tuner.config import TuneConfig


def quickstart() -> PipelineConfig:
    """The embedded data set and a tiny model: minutes on a 2-core laptop.

    `shiftvit run` (expected: top-1 of 0.90 or more on the test split)
    """
    return PipelineConfig(
        preset="quickstart",
        source=SHAPES,
        model=ModelConfig(patch_size=4, dims=(32, 64), depths=(2, 2), drop_path=0.0, n_div=8),
        data=DataConfig(crop_padding=0, flip=False),  # mirroring an image changes its class
        train=TrainConfig(epochs=12, batch_size=64, learning_rate=2e-3),
        tune=TuneConfig(trials=2, epochs=2),
        evaluate=EvaluateConfig(min_top1=0.9, min_top5=0.99, min_corrupted_top1=0.5),
    )


def cifar10_cpu() -> PipelineConfig:
    """Real CIFAR-10, sized for a CPU: the whole pipeline within an hour on 2 cores.

    `shiftvit run --preset cifar10-cpu --data DIR`

    There is no search: trials that fit in the hour are too short to rank settings. `--set tune.trials=N` runs one.
    """
    return PipelineConfig(
        preset="cifar10-cpu",
        source=TFDS,
        model=ModelConfig(patch_size=2, dims=(64, 128, 256), depths=(2, 4, 2), n_div=8, drop_path=0.05, flip_test=True),
        train=TrainConfig(epochs=50, batch_size=128, learning_rate=2e-3),
        tune=TuneConfig(trials=0, epochs=5),
        evaluate=EvaluateConfig(min_top1=0.8, min_top5=0.97, min_class_top1=0.5, max_ece=0.1, min_corrupted_top1=0.6),
    )


def cifar10() -> PipelineConfig:
    """Real CIFAR-10, the published width and the full recipe, for GPUs. Not measured yet.

    `shiftvit run --preset cifar10 --data DIR`
    """
    return PipelineConfig(
        preset="cifar10",
        source=TFDS,
        model=ModelConfig(patch_size=2, drop_path=0.1),
        data=DataConfig(randaugment_ops=2, mixup=0.25, cutmix=0.25, erasing=0.25),
        train=TrainConfig(epochs=100, batch_size=256, ema_decay=0.999),
        tune=TuneConfig(trials=12, epochs=10),
        evaluate=EvaluateConfig(
            min_top1=0.9, min_top5=0.99, min_class_top1=0.75, max_top1_drop=0.01, min_corrupted_top1=0.3
        ),
    )


def keras_example() -> PipelineConfig:
    """Dimensions, batch size and schedule of the Keras ShiftViT example, for comparison.

    46 epochs with a batch of 256, at 48 x 48 pixels.

    `shiftvit run --preset keras-example --data DIR` (the example publishes 77.20% top-1, 98.64% top-5)
    """
    return PipelineConfig(
        preset="keras-example",
        source=TFDS,
        model=ModelConfig(image_size=48, patch_size=4, pad_odd_maps=True, drop_path=0.2, dropout=0.2),
        data=DataConfig(crop_padding=4),
        train=TrainConfig(
            epochs=46,
            batch_size=256,
            learning_rate=1e-3,
            warmup_fraction=0.15,
            clip_norm=0.0,
            weight_decay=0.1,  # at the peak rate this is the 1e-4 per step that the example subtracts
            label_smoothing=0.0,
        ),
        tune=TuneConfig(trials=0),
        evaluate=EvaluateConfig(min_top1=0.772, min_top5=0.98),
    )


def images() -> PipelineConfig:
    """Your own images, at 64 x 64 pixels, with a small model; the default for folders of images and CSV files.

    `shiftvit run --data PATH`

    On 3,000 drawn images of seven classes, in which the colour of a disc decides (`write_mixed` in
    tests/helpers/image_folders.py), it takes three and a half minutes on 2 cores and reaches a top-1 of 100%. Its
    thresholds hold for any data: the model must do better than always answering the commonest class.
    """
    return PipelineConfig(
        preset="images",
        source=FOLDER,
        model=ModelConfig(dims=(64, 128, 256), depths=(2, 4, 2), n_div=8, drop_path=0.05, flip_test=True),
        data=DataConfig(crop_padding=8),
        train=TrainConfig(epochs=40, batch_size=64, learning_rate=1e-3),
        tune=TuneConfig(trials=0, epochs=5),
        evaluate=EvaluateConfig(min_top1=0.0, beat_commonest=True, max_top1_drop=0.05, max_ece=1.0),
        gate=GateConfig(min_class_share=0.1, max_duplicates=0.05),
    )


PRESETS = {config.preset: config for config in (quickstart(), cifar10_cpu(), cifar10(), keras_example(), images())}


def preset(name: str) -> PipelineConfig:
    """Returns the preset with that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; {suggest(name, PRESETS)}")
    return PRESETS[name]
