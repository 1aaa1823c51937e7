"""Which model a candidate is compared with."""

import shutil
from pathlib import Path

from tfx.components.evaluator import constants
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.types.standard_artifacts import Model
from tfx.utils import path_utils

from components import serving_folder


class BlessedBeforeStrategy(ResolverStrategy):
    """Resolves to the latest blessed model that is older than the candidate.

    The stock strategy takes the latest blessed model of all, which after a run is the candidate itself: a repeated run
    would then evaluate it against itself and push it once more. Older than the candidate is the same answer every time.

    Inputs are `model` and `model_blessing`, each with all artifacts of its kind, and `candidate`, this run's model.
    """

    def resolve_artifacts(self, store, input_dict):
        """Returns the channels with the baseline and its blessing, or with nothing where there is none."""
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
    candidate: InputArtifact[Model],
    model: OutputArtifact[Model],
    push_destination: Parameter[str],
):
    """Takes the newest pushed version as the baseline, where there is no ML Metadata to ask; none yet, and it is empty.

    The candidate is an input for the sake of the cache: the same candidate is compared with the same baseline again,
    not with itself once it is pushed, and so is not pushed twice.
    """
    with serving_folder.hold_newest(Path(push_destination)) as newest:
        if newest is not None:
            shutil.copytree(newest, path_utils.serving_model_dir(model.uri))
            model.set_string_custom_property("pushed_version", newest.name)
