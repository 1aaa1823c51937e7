"""The experiment: model, augmentation and training settings as frozen dataclasses. Imports no TensorFlow.

Each validates itself when it is built. `from_dict` builds any such tree from plain data, and `to_dict` is its inverse.
"""

import dataclasses
import difflib
import math
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from shiftvit.errors import ConfigError

Config = TypeVar("Config")


def require(condition: object, message: str) -> None:
    """Raises ConfigError with the message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True)
class ModelConfig:
    """The network (Wang et al., "When Shift Operation Meets Vision Transformer", AAAI 2022)."""

    image_size: int = 0  # pixels a side; stored images of another size are resized to it; 0: as they are stored
    patch_size: int = 2
    stem: Literal["patch", "conv"] = "patch"  # patch: as published; conv: 3x3 convolutions of the same total stride
    dims: tuple[int, ...] = (96, 192, 384, 768)  # channels of each stage
    depths: tuple[int, ...] = (2, 4, 8, 2)  # blocks of each stage
    n_div: int = 12  # channel groups; four of them are shifted
    shift_pixels: int = 1  # how far
    pad_odd_maps: bool = False  # fill maps of odd size up with zeros to merge them; published: cut them off
    mlp_ratio: float = 2.0
    norm: Literal["group1", "layer", "batch"] = "group1"  # group1: one group per image, as published
    activation: Literal["gelu", "silu", "relu"] = "gelu"
    drop_path: float = 0.1  # rate at the last block; increases linearly from 0 at the first
    dropout: float = 0.0
    flip_test: bool = False  # average the logits of each image and its mirror image, except in training
    num_classes: int = 0  # 0: those of the data

    def __post_init__(self) -> None:
        require(len(self.dims) == len(self.depths) > 0, "model.dims and model.depths must have one entry per stage")
        require(
            min(*self.dims, *self.depths, self.patch_size) > 0, "model.dims, depths and patch_size must be positive"
        )
        require(min(self.image_size, self.num_classes) >= 0, "model.image_size and num_classes must not be negative")
        require(
            4 <= self.n_div <= min(self.dims),
            f"model.n_div={self.n_div} must be from 4, the shifted groups, to {min(self.dims)}, the fewest channels",
        )
        require(
            self.stem == "patch" or self.patch_size & (self.patch_size - 1) == 0,
            f"model.stem=conv halves the image step by step: model.patch_size={self.patch_size} must be a power of 2",
        )
        require(self.shift_pixels >= 0, "model.shift_pixels must not be negative")
        require(self.mlp_ratio > 0, "model.mlp_ratio must be positive")
        for name in ("drop_path", "dropout"):
            require(0 <= getattr(self, name) < 1, f"model.{name} must be in [0, 1)")
        if self.image_size:
            self._check_size()

    @property
    def total_stride(self) -> int:
        """Pixels of the input for each pixel of the last map, on a side."""
        return self.patch_size * 2 ** (len(self.dims) - 1)

    def _check_size(self) -> None:
        stride = self.total_stride
        require(
            self.image_size % self.patch_size == 0 and self.image_size >= stride,
            f"model.image_size={self.image_size} must be a multiple of model.patch_size={self.patch_size}, and at "
            f"least {stride}, the network's total stride (patch_size, doubled by each further stage)",
        )
        require(
            self.shift_pixels < self.image_size // self.patch_size,
            f"model.shift_pixels={self.shift_pixels} must be less than {self.image_size // self.patch_size}, a side of "
            "the first map",
        )


@dataclass(frozen=True)
class DataConfig:
    """Augmentation and balance of the training images, and the memory that images take."""

    balance: bool = False  # draw every class equally often in training; images of rarer classes repeat
    crop_padding: int = 4  # reflect-pad each side by so many pixels of the stored image, then crop at random; 0: off
    flip: bool = True
    randaugment_ops: int = 0  # RandAugment operations per image; 0: off
    randaugment_magnitude: float = 0.5  # strength of each operation, as a share of its maximum
    mixup: float = 0.0  # probability of blending an image with another of its batch
    cutmix: float = 0.0  # probability of pasting in a rectangle of another image
    erasing: float = 0.0  # probability of filling a rectangle with noise
    memory: int = 4000  # MB for the images of a split in a process; one that takes over half streams from its files

    def __post_init__(self) -> None:
        require(self.memory > 0, "data.memory must be positive; it is in MB")
        require(self.randaugment_ops >= 0, "data.randaugment_ops must not be negative")
        for name in ("randaugment_magnitude", "mixup", "cutmix", "erasing"):
            require(0 <= getattr(self, name) <= 1, f"data.{name} must be in [0, 1]")
        require(
            self.mixup + self.cutmix <= 1,
            f"data.mixup={self.mixup} and data.cutmix={self.cutmix} together must not exceed 1: "
            "an image is mixed in one of the two ways",
        )
        require(self.crop_padding >= 0, "data.crop_padding must not be negative")


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation, precision and devices."""

    epochs: int = 100
    batch_size: int = 256  # global: split across the replicas
    learning_rate: float = 1e-3  # peak of the schedule: linear warmup, then cosine decay to 0
    warmup_fraction: float = 0.05  # of all steps
    weight_decay: float = 0.05
    clip_norm: float = 1.0  # maximum global norm of the gradients; 0: off
    label_smoothing: float = 0.1
    class_weights: Literal["none", "balanced"] = "none"  # balanced: the training loss of rarer classes weighs more
    ema_decay: float = 0.0  # decay of the average of the weights, which is evaluated and exported; 0: off
    initial_weights: str = ""  # file of official weights (.npz or .pth); empty: random initialisation
    freeze: int = 0  # how many of the first stages keep the initial weights, with the stem and the merges before them
    layer_decay: float = 1.0  # learning rate of each block as a share of the next one's; the head has the full rate
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"  # auto: bfloat16 if the hardware has it
    replicas: int = 0  # GPUs, 0: all; without GPUs, the number of logical CPU devices
    steps_per_epoch: int = 0  # 0: as many as the training split has full batches
    steps_per_execution: int = 1  # steps per host call; higher keeps accelerators busy
    seed: int = 0
    deterministic: bool = False  # bit-identical weights every time, even if killed and resumed; slower

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "steps_per_execution", "learning_rate"):
            require(getattr(self, name) > 0, f"train.{name} must be positive")
        for name in ("replicas", "steps_per_epoch", "weight_decay", "clip_norm"):
            require(getattr(self, name) >= 0, f"train.{name} must not be negative")
        for name in ("warmup_fraction", "label_smoothing", "ema_decay"):
            require(0 <= getattr(self, name) < 1, f"train.{name} must be in [0, 1)")
        require(0 < self.layer_decay <= 1, f"train.layer_decay={self.layer_decay} must be above 0, and at most 1")
        require(self.freeze >= 0, f"train.freeze={self.freeze} must not be negative")
        require(
            self.initial_weights or not self.freeze,
            f"train.freeze={self.freeze} needs train.initial_weights: frozen layers would keep random weights",
        )
        require(
            self.batch_size % max(self.replicas, 1) == 0,
            f"train.batch_size={self.batch_size} is not divisible by train.replicas={self.replicas}: "
            "it is the global batch size, split evenly across them",
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

    def for_data(self, data: ImageData) -> "ExperimentConfig":
        """Returns the experiment with the size of the model's input and its number of classes filled in.

        Raises:
            ConfigError: if the settings do not fit such images or so many classes.
        """
        require(
            self.model.num_classes in (0, data.num_classes),
            f"model.num_classes={self.model.num_classes}, but the data has {data.num_classes} classes; leave it at 0",
        )
        require(
            self.data.crop_padding < data.image_size,
            f"data.crop_padding={self.data.crop_padding} must be less than {data.image_size}, a side of the images",
        )
        size = self.model.image_size or data.image_size
        model = dataclasses.replace(self.model, image_size=size, num_classes=data.num_classes)
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
    return cls(**{key: _convert(value, types[key], _join(path, key)) for key, value in values.items()})


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


def _convert(value: Any, kind: Any, path: str) -> Any:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return from_dict(kind, value, path)
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        require(value in choices, f"{path}={value!r} is not one of {', '.join(map(str, choices))}")
        return value
    if typing.get_origin(kind) is tuple:
        require(isinstance(value, (list, tuple)), f"{path}={value!r} must be a list, such as 2,4,8")
        return tuple(_convert(item, typing.get_args(kind)[0], path) for item in value)
    if typing.get_origin(kind) is dict:
        require(isinstance(value, dict), f"{path}={value!r} must be a table of keys")
        return {key: _convert(item, typing.get_args(kind)[1], _join(path, key)) for key, item in value.items()}
    if kind is float and type(value) is int:
        value = float(value)
    require(
        type(value) is kind and (kind is not float or math.isfinite(value)),
        f"{path}={value!r} must be {_TYPE_NAMES[kind]}",
    )
    return value


_TYPE_NAMES = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a string"}
