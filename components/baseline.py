"""Resolves the baseline: the model that the Evaluator compares a candidate with."""

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


class BlessedBeforeStrategy(ResolverStrategy):
    """Resolves to the latest blessed model that is older than the candidate.

    TFX's own strategy takes the latest blessed model of all. In a repeated run that is the candidate itself, which
    would be evaluated against itself and pushed again. This strategy resolves to the same model every time.

    Inputs are `model` and `model_blessing`, each with all artifacts of its kind, and `candidate`, this run's model.
    """

    def resolve_artifacts(self, store: Metadata, input_dict: ArtifactMultiDict) -> ArtifactMultiDict:
        """Returns the baseline as `model` with its `model_blessing`; both are empty if there is none."""
        candidate = max(artifact.id for artifact in input_dict["candidate"])
        blessings = {
            blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY): blessing
            for blessing in input_dict["model_blessing"]
            if blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY)
        }
        older = [model for model in input_dict["model"] if model.id in blessings and model.id < candidate]
        baseline = [max(older, key=lambda model: model.id)] if older else []
        return {
            "candidate": input_dict["candidate"],
            "model": baseline,
            "model_blessing": [blessings[model.id] for model in baseline],
        }


@component
def PushedBaseline(
    candidate: InputArtifact[Model], model: OutputArtifact[Model], push_destination: Parameter[str]
) -> None:
    """Copies the newest pushed version to `model`, for runners without ML Metadata; `model` is empty if there is none.

    The candidate is an input only for the cache: a repeated run compares the same candidate with the same baseline,
    not with itself once it is pushed.
    """
    with serving_folder.hold_newest(Path(push_destination)) as newest:
        if newest is not None:
            shutil.copytree(newest, path_utils.serving_model_dir(model.uri))
            model.set_string_custom_property(PUSHED_VERSION, newest.name)
