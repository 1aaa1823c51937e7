"""The experiment: model, augmentation and training settings as frozen dataclasses. Imports no TensorFlow.

Each validates itself when it is built. `from_dict` builds any such tree from plain data, and `to_dict` is its inverse.
"""

import contextlib
import dataclasses
import difflib
import math
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from shiftvit.errors import ConfigError
from shiftvit.features import MAX_SIZE, MIN_SIZE
from shiftvit.patches import check_patch, largest_patch, most_stages
from shiftvit.ranges import MAX_SEED, check_ranges, number, share

Config = TypeVar("Config")
Resize = Literal["crop", "pad", "stretch"]  # how an image file that is not square becomes so


def require(condition: object, message: str) -> None:
    """Raises ConfigError with the message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True)
class ModelConfig:
    """The network (Wang et al., "When Shift Operation Meets Vision Transformer", AAAI 2022)."""

    image_size: int = number(0, 0, 1024)  # pixels a side that the network sees; 0: as they are stored
    patch_size: int = number(0, 1, 1024, zero=True)  # pixels a side that the stem merges; 0: chosen by the image size
    stem: Literal["patch", "conv"] = "patch"  # patch: as published; conv: 3x3 convolutions of the same total stride
    dims: tuple[int, ...] = number((96, 192, 384, 768), 1, 8192)  # channels of each stage
    depths: tuple[int, ...] = number((2, 4, 8, 2), 1, 1000)  # blocks of each stage
    n_div: int = number(12, 4, 8192)  # channel groups; four of them are shifted
    shift_pixels: int = number(1, 0, 1023)  # how far
    pad_odd_maps: bool = False  # fill maps of odd size up with zeros to merge them; published: cut them off
    mlp_ratio: float = number(2.0, 0.1, 100.0)  # width of a block's hidden layer as a multiple of its channels
    norm: Literal["group1", "layer", "batch"] = "group1"  # group1: one group per image, as published
    activation: Literal["gelu", "silu", "relu"] = "gelu"
    drop_path: float = number(0.1, 0.0, 0.99)  # rate at the last block; increases linearly from 0 at the first
    dropout: float = number(0.0, 0.0, 0.99)
    flip_test: bool = False  # average the logits of each image and its mirror image, except in training
    num_classes: int = number(0, 0, 65_536)  # 0: those of the data

    def __post_init__(self) -> None:
        check_ranges(self, "model")
        require(len(self.dims) == len(self.depths) > 0, "model.dims and model.depths must have one entry per stage")
        require(
            self.n_div <= min(self.dims),
            f"model.n_div={self.n_div} must be at most {min(self.dims)}, the fewest channels in model.dims",
        )
        require(
            min(self.dims) * self.mlp_ratio >= 1,
            f"model.mlp_ratio={self.mlp_ratio} leaves a hidden layer without a channel where model.dims has "
            f"{min(self.dims)}",
        )
        require(
            self.stem == "patch" or self.patch_size & (self.patch_size - 1) == 0,
            f"model.stem=conv halves the image step by step: model.patch_size={self.patch_size} must be a power of 2",
        )
        if self.image_size and self.patch_size:
            check_patch(self.patch_size, self.image_size, len(self.dims), self.shift_pixels, self.stem == "conv")

    def for_images(self, size: int) -> "ModelConfig":
        """Returns the network for stored images of `size` pixels a side, with `image_size` and `patch_size` filled in.

        Where `patch_size` is 0 and no patches let all stages fit, only the first stages stay.

        Raises:
            ConfigError: if patches or stages do not fit the images.
        """
        size = self.image_size or size
        if self.patch_size:
            return dataclasses.replace(self, image_size=size)
        patch = largest_patch(size, len(self.dims), self.shift_pixels, self.stem == "conv") or 1
        stages = most_stages(size, patch)
        dims, depths = self.dims[:stages], self.depths[:stages]
        return dataclasses.replace(self, image_size=size, patch_size=patch, dims=dims, depths=depths)


@dataclass(frozen=True)
class DataConfig:
    """How images are stored, drawn, augmented and held in memory."""

    image_size: int = number(0, MIN_SIZE, MAX_SIZE, zero=True)  # pixels a side as stored; 0: 64 for image files
    resize: Resize = "crop"  # of image files: crop cuts the ends of the long side off, pad adds bars, stretch distorts
    cifar100_labels: Literal["fine", "coarse"] = "fine"  # of CIFAR-100: its 100 classes, or the 20 they are grouped in
    balance: bool = False  # draw every class equally often in training; images of rarer classes repeat
    crop_padding: int = number(4, 0, MAX_SIZE - 1)  # stored pixels to reflect-pad each side by, before a random crop
    flip: bool = True
    randaugment_ops: int = number(0, 0, 100)  # RandAugment operations per image; 0: off
    randaugment_magnitude: float = share(0.5)  # strength of each operation, as a share of its maximum
    mixup: float = share(0.0)  # probability of blending an image with another of its batch
    cutmix: float = share(0.0)  # probability of pasting in a rectangle of another image
    erasing: float = share(0.0)  # probability of filling a rectangle with noise
    memory: int = number(4000, 1, 10**9)  # MB for the images of a split; one that takes over half of it is streamed

    def __post_init__(self) -> None:
        check_ranges(self, "data")
        require(
            self.mixup + self.cutmix <= 1,
            f"data.mixup={self.mixup} and data.cutmix={self.cutmix} together must not exceed 1: "
            "an image is mixed in one of the two ways",
        )
        require(
            self.crop_padding < (self.image_size or MAX_SIZE),
            f"data.crop_padding={self.crop_padding} must be less than {self.image_size}, a side of the images",
        )


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation, precision and devices."""

    epochs: int = number(100, 1, 10**6)
    batch_size: int = number(256, 1, 10**6)  # global: split across the replicas
    learning_rate: float = number(1e-3, 1e-12, 1.0)  # peak of the schedule: linear warmup, then cosine decay to 0
    warmup_fraction: float = number(0.05, 0.0, 0.99)  # of all steps
    weight_decay: float = number(0.05, 0.0, 100.0)
    clip_norm: float = number(1.0, 1e-6, 1e6, zero=True)  # maximum global norm of the gradients; 0: off
    label_smoothing: float = number(0.1, 0.0, 0.99)
    class_weights: Literal["none", "balanced"] = "none"  # balanced: the training loss of rarer classes weighs more
    ema_decay: float = number(0.0, 0.0, 0.999999)  # of the average of weights that is evaluated and exported; 0: off
    initial_weights: str = ""  # file of official weights (.npz or .pth); empty: random initialisation
    freeze: int = number(0, 0, 1000)  # stages that keep the initial weights, with the stem and the merges before them
    layer_decay: float = number(1.0, 0.01, 1.0)  # learning rate of each block as a share of the next one's
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"  # auto: bfloat16 if the hardware has it
    replicas: int = number(0, 0, 1024)  # GPUs, 0: all; without GPUs, the number of logical CPU devices
    steps_per_epoch: int = number(0, 0, 10**9)  # 0: as many as the training split has full batches
    steps_per_execution: int = number(1, 1, 10**6)  # steps per host call; higher keeps accelerators busy
    seed: int = number(0, 0, MAX_SEED)
    deterministic: bool = False  # bit-identical weights every time, even if killed and resumed; slower

    def __post_init__(self) -> None:
        check_ranges(self, "train")
        require(
            self.initial_weights or not self.freeze,
            f"train.freeze={self.freeze} needs train.initial_weights: frozen layers would keep random weights",
        )
        self.check_devices(self.replicas)

    def check_devices(self, devices: int) -> None:
        """Raises ConfigError if so many devices cannot train together with these settings; 0 if they are unknown."""
        require(
            self.batch_size % max(devices, 1) == 0,
            f"train.batch_size={self.batch_size} is not divisible by {devices}, the number of devices "
            "(train.replicas): it is the global batch size, split evenly across them",
        )
        require(
            self.steps_per_execution == 1 or devices <= 1,
            f"train.steps_per_execution={self.steps_per_execution} needs a single device, because TensorFlow cannot "
            f"loop over {devices} of them: set it to 1, or set train.replicas=1",
        )

    def check_split(self, images: int) -> None:
        """Raises ConfigError if the training split, of so many images, does not fill a batch."""
        require(
            self.steps_per_epoch or images >= self.batch_size,
            f"train.batch_size={self.batch_size} is more than the {images:,} images of the training split: set a "
            "smaller one",
        )


class ImageData(typing.Protocol):
    """What an experiment must know about its data."""

    @property
    def image_size(self) -> int:
        """Pixels on each side of the stored images."""

    @property
    def num_classes(self) -> int:
        """The number of classes."""


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything that determines a trained model, given its data."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        require(
            not self.data.balance or self.train.class_weights == "none",
            f"data.balance=true already draws every class equally often: set train.class_weights=none, not "
            f"{self.train.class_weights}, or data.balance=false",
        )
        stages = len(self.model.depths)
        require(
            self.train.freeze <= stages,
            f"train.freeze={self.train.freeze} must be at most {stages}, the number of stages in model.depths",
        )
        if size := self.model.image_size or self.data.image_size:
            self.model.for_images(size)

    def for_data(self, data: ImageData) -> "ExperimentConfig":
        """Returns the experiment with what the model takes from the data: sizes and the number of classes.

        Raises:
            ConfigError: if the settings do not fit such images or so many classes.
        """
        require(
            self.model.num_classes in (0, data.num_classes),
            f"model.num_classes={self.model.num_classes}, but the data has {data.num_classes} classes; leave it at 0",
        )
        dataclasses.replace(self.data, image_size=data.image_size)  # checks the crops
        model = dataclasses.replace(self.model.for_images(data.image_size), num_classes=data.num_classes)
        return dataclasses.replace(self, model=model)


def to_dict(config: Any) -> dict[str, Any]:
    """Returns the tree as JSON-compatible dicts, lists and scalars."""

    def plain(fields: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in fields}

    return dataclasses.asdict(config, dict_factory=plain)


def from_dict(cls: type[Config], values: typing.Mapping[str, Any], path: str = "") -> Config:
    """Builds the dataclass `cls` from plain data; missing keys keep their defaults.

    Raises:
        ConfigError: for an unknown key (the message suggests similar ones), a wrong type or an invalid value.
    """
    require(
        isinstance(values, typing.Mapping), f"{path or 'the configuration'} must be a table of keys, not {values!r}"
    )
    types = typing.get_type_hints(cls)
    for key in values:
        if key not in types:
            raise ConfigError(f"unknown key {_join(path, key)}; {suggest(key, types, path)}")
    return cls(**{key: convert(value, types[key], _join(path, key)) for key, value in values.items()})


def suggest(name: str, known: typing.Iterable[str], path: str = "") -> str:
    """Returns the known names most similar to `name`, or all of them if none is similar, as part of a message.

    >>> suggest("epoch", ["epochs", "seed"], path="train")
    'did you mean train.epochs?'
    >>> suggest("lr", ["epochs", "seed"])
    'known: epochs, seed'
    """
    names = sorted(known)
    similar = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    listed = ", ".join(_join(path, n) for n in similar or names)
    return f"did you mean {listed}?" if similar else f"known: {listed}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def convert(value: Any, kind: Any, path: str) -> Any:
    """Returns plain data as a value of the type `kind`; raises ConfigError, naming `path`, if it is none."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return from_dict(kind, value, path)
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        require(value in choices, f"{path}={value!r} is not one of {', '.join(map(str, choices))}")
        return value
    if typing.get_origin(kind) is tuple:
        require(isinstance(value, (list, tuple)), f"{path}={value!r} must be a list, such as 2,4,8")
        return tuple(convert(item, typing.get_args(kind)[0], path) for item in value)
    if typing.get_origin(kind) is dict:
        require(isinstance(value, dict), f"{path}={value!r} must be a table of keys")
        return {key: convert(item, typing.get_args(kind)[1], _join(path, key)) for key, item in value.items()}
    if kind is float and type(value) is int:
        with contextlib.suppress(OverflowError):
            value = float(value)
    require(
        type(value) is kind and (kind is not float or math.isfinite(value)),
        f"{path}={value!r} must be {_TYPE_NAMES[kind]}",
    )
    return value


_TYPE_NAMES = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a string"}
