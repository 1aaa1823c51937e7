"""Checks the compiled pipeline with KFP's SDK, in an environment of its own."""

import copy

import pytest
import yaml
from compiled import FULL, compiled

TRAINER = "Trainer_executor"


def changed(documents, change):
    documents = copy.deepcopy(documents)
    change(documents, documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"])
    return documents


WRONG = {
    "an unknown field": (lambda _, platform: platform[TRAINER].update(nodeSelectors={}), "nodeSelectors"),
    "an unknown nested field": (lambda _, platform: platform[TRAINER]["pvcMount"][0].update(claim="data"), "claim"),
    "a wrong type": (
        lambda _, platform: platform[TRAINER]["nodeSelector"]["labels"].update(a=1),
        "labels",
    ),
    "an unknown executor": (lambda _, platform: platform.update(Trainer={}), "no executor Trainer"),
    "two documents for the platform": (lambda documents, _: documents.append({"platforms": {}}), "one or two"),
    "no PipelineSpec": (lambda documents, _: documents[0].update(tasks={}), "tasks"),
}


@pytest.mark.slow
def test_kfp_accepts_the_compiled_pipeline_and_refuses_invalid_ones(check_with_kfp, tmp_path):
    full = compiled(tmp_path, *FULL)
    cases = [full, compiled(tmp_path), *(changed(full, change) for change, _ in WRONG.values())]
    files = [tmp_path / f"{number}.yaml" for number in range(len(cases))]
    for file, documents in zip(files, cases, strict=True):
        file.write_text(yaml.safe_dump_all(documents))

    full_error, small_error, *errors = check_with_kfp(*files)

    assert full_error is None and small_error is None
    for (name, (_, part)), error in zip(WRONG.items(), errors, strict=True):
        assert error and part in error, name
