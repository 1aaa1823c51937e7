"""What KFP's own SDK, in an environment of its own, says of the compiled pipeline."""

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
    "a field that there is not": (lambda _, platform: platform[TRAINER].update(nodeSelectors={}), "nodeSelectors"),
    "one within": (lambda _, platform: platform[TRAINER]["pvcMount"][0].update(claim="data"), "claim"),
    "a value of another type": (lambda _, platform: platform[TRAINER]["nodeSelector"]["labels"].update(a=1), "labels"),
    "an executor that there is not": (lambda _, platform: platform.update(Trainer={}), "no executor Trainer"),
    "two documents for the platform": (lambda documents, _: documents.append({"platforms": {}}), "one or two"),
    "no PipelineSpec": (lambda documents, _: documents[0].update(tasks={}), "tasks"),
}


@pytest.mark.slow
def test_kfp_takes_the_compiled_pipeline_and_nothing_wrong(check_with_kfp, tmp_path):
    whole = compiled(tmp_path, *FULL)
    cases = [whole, compiled(tmp_path), *(changed(whole, change) for change, _ in WRONG.values())]
    files = [tmp_path / f"{number}.yaml" for number in range(len(cases))]
    for file, documents in zip(files, cases, strict=True):
        file.write_text(yaml.safe_dump_all(documents))

    taken, plain, *refused = check_with_kfp(*files)

    assert taken is None and plain is None
    for (why, (_, part)), answer in zip(WRONG.items(), refused, strict=True):
        assert answer and part in answer, why
