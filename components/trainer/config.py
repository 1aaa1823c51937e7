"""What the graph hands the Trainer."""

from dataclasses import dataclass

from shiftvit.config import ExperimentConfig


@dataclass(frozen=True)
class TrainerConfig:
    """The Trainer's `custom_config`, as `shiftvit.config.to_dict` writes it."""

    experiment: ExperimentConfig
    resume_root: str  # folder for the state of interrupted trainings
