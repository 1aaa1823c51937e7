"""What the graph hands the Tuner."""

from dataclasses import dataclass

from shiftvit.config import ExperimentConfig
from tuner.config import TuneConfig


@dataclass(frozen=True)
class TunerConfig:
    """The Tuner's `custom_config`, as `shiftvit.config.to_dict` writes it."""

    tune: TuneConfig
    experiment: ExperimentConfig  # of one trial
    space: str  # the declared hyperparameters as JSON; a space of the user's own is not part of our code's fingerprint
    initial_weights: str  # digest of the weights file, whose content may change under one name; empty without one
    resume_root: str  # folder for the state of interrupted searches
