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
from shiftvit.features import check_size
from shiftvit.patches import largest_patch, most_stages

Config = TypeVar("Config")
Resize = Literal["crop", "pad", "stretch"]  # how an image file that is not square becomes so


def require(condition: object, message: str) -> None:
    """Raises ConfigError with the message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True)
class ModelConfig:
    """The network (Wang et al., "When Shift Operation Meets Vision Transformer", AAAI 2022)."""

    image_size: int = 0  # pixels a side; stored images of another size are resized to it; 0: as they are stored
    patch_size: int = 0  # pixels a side that the stem merges; 0: by the image size; tiny images lose the last stages
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
        require(min(*self.dims, *self.depths) > 0, "model.dims and depths must be positive")
        for name in ("image_size", "patch_size", "num_classes"):
            require(getattr(self, name) >= 0, f"model.{name} must not be negative")
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
        if self.image_size and self.patch_size:
            self._check_size()

    def for_images(self, size: int) -> "ModelConfig":
        """Returns the network for stored images of `size` pixels a side, with `image_size` and `patch_size` filled in.

        Where `patch_size` is 0 and no patches let all stages fit, only the first stages stay.

        Raises:
            ConfigError: if patches or stages do not fit the images.
        """
        size = self.image_size or size
        if self.patch_size:
            return dataclasses.replace(self, image_size=size)
        patch = self._fitting_patch(size) or 1
        stages = most_stages(size, patch)
        dims, depths = self.dims[:stages], self.depths[:stages]
        return dataclasses.replace(self, image_size=size, patch_size=patch, dims=dims, depths=depths)

    def _fitting_patch(self, size: int) -> int:
        return largest_patch(size, len(self.dims), self.shift_pixels, power_of_2=self.stem == "conv")

    def _check_size(self) -> None:
        size, patch = self.image_size, self.patch_size
        fitting = self._fitting_patch(size)
        choice = f"set model.patch_size={fitting}, or 0 to have it chosen" if fitting else ""
        require(
            size % patch == 0,
            f"model.patch_size={patch} does not divide images of {size} pixels a side; "
            f"{choice or 'set model.image_size to a multiple of it'}",
        )
        stages = most_stages(size, patch)
        require(
            len(self.dims) <= stages,
            f"images of {size} pixels a side are too small for model.patch_size={patch} and {len(self.dims)} stages, "
            f"each of which halves the map; {choice and f'{choice}, or '}keep the first {stages} entries of model.dims "
            "and model.depths",
        )
        require(
            self.shift_pixels < size // patch,
            f"model.shift_pixels={self.shift_pixels} must be less than {size // patch}, a side of the first map",
        )


@dataclass(frozen=True)
class DataConfig:
    """How images are stored, drawn, augmented and held in memory."""

    image_size: int = 0  # pixels a side of stored images; 0: 64 for image files; other sources keep their size
    resize: Resize = "crop"  # of image files: crop cuts the ends of the long side off, pad adds bars, stretch distorts
    cifar100_labels: Literal["fine", "coarse"] = "fine"  # of CIFAR-100: its 100 classes, or the 20 they are grouped in
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
        if self.image_size:
            check_size(self.image_size, "data.image_size")
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
        """Returns the experiment with what the model takes from the data: sizes and the number of classes.

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
