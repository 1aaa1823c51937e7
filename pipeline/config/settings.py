"""The configuration of a run: one tree, and overrides by dotted name. Imports no TensorFlow."""

import dataclasses
from dataclasses import dataclass, field

from pipeline.config.beam import BeamConfig
from pipeline.config.kubeflow import KubeflowConfig
from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig, require
from shiftvit.features import NUM_CLASSES
from tuner.config import TuneConfig


@dataclass(frozen=True)
class EvaluateConfig:
    """What the model must reach on the test split, and how much worse than the baseline it may be."""

    min_top1: float = 0.5
    min_top5: float = 0.0
    min_class_top1: float = 0.0  # of every single class
    max_top1_drop: float = 0.02  # below the baseline's top-1; the 95% interval of the change must keep to it
    max_ece: float = 0.2  # expected calibration error: how far confidence is from how often it is right
    min_corrupted_top1: float = 0.0  # on the images of every single corruption; 0 asks for none

    def __post_init__(self):
        for f in dataclasses.fields(self):
            require(0 <= getattr(self, f.name) <= 1, f"evaluate.{f.name} must be in [0, 1]")


@dataclass(frozen=True)
class CanaryConfig:
    """The trial of the exported model in a process of its own."""

    images: int = 32  # of the test split, sent through every signature
    timeout: int = 300  # seconds, start of the process included
    max_latency_ms: float = 1000.0  # of a request with one image, the median, on the CPU

    def __post_init__(self):
        require(self.images > 0, "canary.images must be positive")
        require(self.timeout > 0, "canary.timeout must be positive")
        require(self.max_latency_ms > 0, "canary.max_latency_ms must be positive")


@dataclass(frozen=True)
class LiteConfig:
    """TFLite files of the model, for devices; they are pushed in its version's folder."""

    enabled: bool = False
    calibration_images: int = 200  # of the training split, which show the ranges of int8
    test_images: int = (
        1000  # of the test split, to judge each file; as many of the eval split choose what stays float32
    )
    min_float_agreement: float = 0.999  # share of them that the file gives the model's class, to be pushed
    min_int8_agreement: float = 0.99

    def __post_init__(self):
        for name in ("calibration_images", "test_images"):
            require(getattr(self, name) > 0, f"lite.{name} must be positive")
        for name in ("min_float_agreement", "min_int8_agreement"):
            require(0 <= getattr(self, name) <= 1, f"lite.{name} must be in [0, 1]")


@dataclass(frozen=True)
class PushConfig:
    """The pushed versions."""

    keep: int = 5  # the newest; older ones go from the serving folder, and can be brought back from the archive

    def __post_init__(self):
        require(self.keep >= 2, f"push.keep={self.keep} must be at least 2: the served version and one to go back to")


@dataclass(frozen=True)
class ShapesConfig:
    """The embedded set: images of each split, drawn from a seed."""

    train: int = 8000
    eval: int = 1000
    test: int = 1000
    seed: int = 0

    def __post_init__(self):
        require(
            min(self.train, self.eval, self.test) >= 10, "shapes.train, shapes.eval and shapes.test must be 10 or more"
        )


@dataclass(frozen=True)
class IngestConfig:
    """Ingestion with Beam."""

    images_per_shard: int = 5000

    def __post_init__(self):
        require(self.images_per_shard > 0, "ingest.images_per_shard must be positive")


@dataclass(frozen=True)
class GateConfig:
    """What the ingested data must be like, for anything to train on it."""

    min_class_share: float = 0.05  # of the images of each split, for every single class
    max_duplicates: float = 0.01  # share of a split that repeats, pixel for pixel, earlier images of any split
    max_label_drift: float = 0.05  # largest difference of a class's share between train and another split
    max_image_drift: float = 0.1  # Jensen-Shannon divergence from train, of each colour's mean and of the contrast

    def __post_init__(self):
        for f in dataclasses.fields(self):
            require(0 <= getattr(self, f.name) <= 1, f"gate.{f.name} must be in [0, 1]")


@dataclass(frozen=True)
class PipelineConfig:
    """A whole run."""

    preset: str = "quickstart"
    source: str = "shapes"  # shapes, tfds, tfds:ARCHIVE, or the path of an official archive or folder
    workspace: str = "workspace"
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    canary: CanaryConfig = field(default_factory=CanaryConfig)
    lite: LiteConfig = field(default_factory=LiteConfig)
    push: PushConfig = field(default_factory=PushConfig)
    shapes: ShapesConfig = field(default_factory=ShapesConfig)
    ingest: IngestConfig = field(default_factory=IngestConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    beam: BeamConfig = field(default_factory=BeamConfig)
    kubeflow: KubeflowConfig = field(default_factory=KubeflowConfig)

    def __post_init__(self):
        require(
            self.model.num_classes == NUM_CLASSES,
            f"model.num_classes={self.model.num_classes}, but the records have {NUM_CLASSES} classes; "
            "shiftvit/features.py is where that is said",
        )

    @property
    def experiment(self) -> ExperimentConfig:
        """What the Trainer and the Tuner need of this tree."""
        return ExperimentConfig(self.model, self.data, self.train)
