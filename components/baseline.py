"""Resolves the baseline: the model that the Evaluator compares a candidate with."""

import itertools
import shutil
from pathlib import Path

from tfx.components.evaluator import constants
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.orchestration.metadata import Metadata
from tfx.types.standard_artifacts import Model
from tfx.utils import path_utils
from tfx.utils.typing_utils import ArtifactMultiDict

from components import serving_folder
from components.serving_folder import PUSHED_VERSION
from shiftvit.dataset import dataset_of_model
from shiftvit.errors import DataError


class BlessedBeforeStrategy(ResolverStrategy):
    """Resolves to the latest blessed model that is older than the candidate and has the same classes and image size.

    TFX's own strategy takes the latest blessed model of all. In a repeated run that is the candidate itself, which
    would be evaluated against itself and pushed again. This strategy resolves to the same model every time.

    Inputs are `model` and `model_blessing`, each with all artifacts of its kind, and `candidate`, this run's model.
    """

    def resolve_artifacts(self, store: Metadata, input_dict: ArtifactMultiDict) -> ArtifactMultiDict:
        """Returns the baseline as `model` with its `model_blessing`; both are empty if there is none."""
        blessings = {
            blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY): blessing
            for blessing in input_dict["model_blessing"]
            if blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY)
        }
        newest = max(input_dict["candidate"], key=lambda model: model.id)
        older = [model for model in input_dict["model"] if model.id in blessings and model.id < newest.id]
        older.sort(key=lambda model: model.id, reverse=True)
        baseline = list(itertools.islice((model for model in older if _is_comparable(newest, model)), 1))
        return {
            "candidate": input_dict["candidate"],
            "model": baseline,
            "model_blessing": [blessings[model.id] for model in baseline],
        }


def _is_comparable(candidate: Model, other: Model) -> bool:
    return _is_same_task(path_utils.serving_model_dir(candidate.uri), path_utils.serving_model_dir(other.uri))


def _is_same_task(candidate: str | Path, other: str | Path) -> bool:
    """Returns True if two exported models answer with the same classes for images of the same size."""
    try:
        mine, others = dataset_of_model(candidate), dataset_of_model(other)
    except DataError:  # a model of earlier code
        return False
    return (mine.class_names, mine.image_size) == (others.class_names, others.image_size)


@component
def PushedBaseline(
    candidate: InputArtifact[Model], model: OutputArtifact[Model], push_destination: Parameter[str]
) -> None:
    """Copies the newest pushed version to `model`, for runners without ML Metadata.

    `model` is empty if there is none with the classes and the image size of the candidate. The candidate is also an
    input for the cache: a repeated run compares the same candidate with the same baseline, not with itself once it is
    pushed.
    """
    with serving_folder.hold_newest(Path(push_destination)) as newest:
        if newest is not None and _is_same_task(path_utils.serving_model_dir(candidate.uri), newest):
            shutil.copytree(newest, path_utils.serving_model_dir(model.uri))
            model.set_string_custom_property(PUSHED_VERSION, newest.name)
