"""The settings of a run, as one tree of frozen dataclasses that are validated when built. Imports no TensorFlow.

The comment beside a field is the one place that says what the setting means, and in which unit.
"""

from dataclasses import dataclass, field, replace

from pipeline.config.beam import BeamConfig
from pipeline.config.kubeflow import KubeflowConfig
from pipeline.config.source import FORMS, SHAPES, absolute, absolute_source, names_data, parse_source
from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig, require
from shiftvit.files import paths
from shiftvit.ranges import MAX_SEED, check_ranges, number, share
from tuner.config import TuneConfig


@dataclass(frozen=True)
class EvaluateConfig:
    """Thresholds that the model must meet on the test split before it is pushed."""

    min_top1: float = share(0.5)  # least top-1 accuracy, from 0 to 1
    min_top5: float = share(0.0)  # least top-5 accuracy; not with five classes or fewer
    min_class_top1: float = share(0.0)  # least top-1 accuracy of each single class
    max_top1_drop: float = share(0.02)  # largest drop in top-1 below the baseline, at the bad end of its 95% interval
    max_ece: float = share(0.2)  # largest expected calibration error, the mean gap between confidence and accuracy
    min_corrupted_top1: float = share(0.0)  # least top-1 accuracy under each single corruption; 0: no threshold
    beat_commonest: bool = False  # top-1, at the low end of its 95% interval, exceeds the share of the commonest class

    def __post_init__(self) -> None:
        check_ranges(self, "evaluate")


@dataclass(frozen=True)
class CanaryConfig:
    """The test of the exported model in a process of its own."""

    images: int = number(32, 1, 10**6)  # images of the test split that are sent through every signature
    timeout: int = number(300, 1, 86_400)  # seconds that the whole test may take, including the start of the process
    max_latency_ms: float = number(1000.0, 0.001, 1e9)  # largest median latency of a request with one image on the CPU

    def __post_init__(self) -> None:
        check_ranges(self, "canary")


@dataclass(frozen=True)
class LiteConfig:
    """TFLite files of the model, for mobile devices; pushed in the folder of its version."""

    enabled: bool = False  # whether to make and push them
    calibration_images: int = number(200, 1, 10**6)  # images of the training split that calibrate the ranges of int8
    test_images: int = number(1000, 1, 10**6)  # of eval, to choose what stays float32, and of test, to judge
    min_float_agreement: float = share(0.999)  # least share of test images that the float32 file answers as the model
    min_int8_agreement: float = share(0.99)  # the same for the int8 file; a file below its threshold is not pushed

    def __post_init__(self) -> None:
        check_ranges(self, "lite")


@dataclass(frozen=True)
class PushConfig:
    """The pushed versions."""

    keep: int = number(5, 2, 10**6)  # newest versions in the serving folder, one to roll back to among them

    def __post_init__(self) -> None:
        check_ranges(self, "push")


@dataclass(frozen=True)
class ShapesConfig:
    """The embedded data set, generated from a seed."""

    train: int = number(8000, 10, 10**6)  # images in the training split
    eval: int = number(1000, 10, 10**6)  # images in the eval split
    test: int = number(1000, 10, 10**6)  # images in the test split
    seed: int = number(0, 0, MAX_SEED)  # of the random generator

    def __post_init__(self) -> None:
        check_ranges(self, "shapes")


@dataclass(frozen=True)
class IngestConfig:
    """Ingestion with Beam."""

    images_per_shard: int = number(5000, 1, 10**6)  # images in each TFRecord file
    max_bad_images: int = number(10, 0, 10**9)  # image files left out because they do not decode; more stop the run
    eval_share: float = number(0.1, 1e-6, 0.99)  # part of each class for the eval split, if there are no splits
    test_share: float = number(0.1, 1e-6, 0.99)  # part of each class for the test split, likewise
    split_seed: int = number(0, 0, MAX_SEED)  # chooses these images
    tfds_dir: str = ""  # data_dir of tensorflow-datasets for tfds:NAME; empty: $TFDS_DATA_DIR or ~/tensorflow_datasets

    def __post_init__(self) -> None:
        check_ranges(self, "ingest")
        require(
            self.eval_share + self.test_share < 1,
            f"ingest.eval_share={self.eval_share} and ingest.test_share={self.test_share} together must be below 1: "
            "the rest trains",
        )


@dataclass(frozen=True)
class GateConfig:
    """Thresholds that the ingested data must meet before anything trains on it."""

    min_class_share: float = share(0.5)  # least share of a class in a split, as a part of an even share: 0.5 of 10%
    max_duplicates: float = share(0.01)  # largest share of a split whose pixels repeat earlier images of any split
    max_label_drift: float = share(0.05)  # largest difference of a class's share from train, beyond random splits'
    max_image_drift: float = share(0.1)  # largest Jensen-Shannon divergence from train, of colours and of contrast

    def __post_init__(self) -> None:
        check_ranges(self, "gate")


@dataclass(frozen=True)
class PipelineConfig:
    """All settings of a run."""

    preset: str = "quickstart"  # the preset that the configuration started from
    source: str = SHAPES  # the data: a path, folder:PATH, csv:FILE, tfds:NAME, tfds, tfds:ARCHIVE or shapes
    workspace: str = "workspace"  # folder of everything that runs write
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

    def __post_init__(self) -> None:
        require(self.workspace.strip(), "workspace is empty: it is the folder of everything that runs write")
        require(names_data(self.source), f"source={self.source!r} names no data; it can be {FORMS}")
        ExperimentConfig(self.model, self.data, self.train)  # checks that they fit each other

    def check_paths(self) -> None:
        """Raises ConfigError if a path, seen from the working directory, cannot be used; reads no file."""
        _, source = parse_source(self.source)
        paths.check(self.workspace, "workspace")
        if self.beam.has_workers_elsewhere:
            paths.check_plain(self.workspace, "workspace")
        for name, path in (
            ("source", source),
            ("train.initial_weights", self.train.initial_weights),
            ("ingest.tfds_dir", self.ingest.tfds_dir),
        ):
            if path:
                paths.check(path, name)

    @property
    def experiment(self) -> ExperimentConfig:
        """The part of this tree that Trainer and Tuner read."""
        return ExperimentConfig(self.model, self.data, self.train)

    def with_absolute_paths(self) -> "PipelineConfig":
        """Returns the configuration with absolute paths, so that it means the same in every working directory."""
        weights = self.train.initial_weights
        train = replace(self.train, initial_weights=str(absolute(weights)) if weights else "")
        tfds = self.ingest.tfds_dir
        ingest = replace(self.ingest, tfds_dir=str(absolute(tfds)) if tfds else "")
        source, workspace = absolute_source(self.source), str(absolute(self.workspace))
        return replace(self, source=source, workspace=workspace, train=train, ingest=ingest)
