"""What KFP's own SDK, in an environment of its own, says of a small file with all that we write for the platform."""

import yaml

SPEC = {
    "schemaVersion": "2.1.0",
    "sdkVersion": "kfp-2.17.0",
    "pipelineInfo": {"name": "shiftvit"},
    "components": {"Trainer": {"executorLabel": "Trainer_executor"}},
    "deploymentSpec": {
        "executors": {
            "Trainer_executor": {
                "container": {
                    "image": "shiftvit:1",
                    "command": ["python", "-m", "pipeline.kubeflow.step"],
                    "env": [{"name": "LEVEL", "value": "1"}],
                    "resources": {
                        "resourceCpuLimit": "8",
                        "resourceMemoryLimit": "32Gi",
                        "accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"},
                    },
                }
            }
        }
    },
    "root": {"dag": {"tasks": {"Trainer": {"taskInfo": {"name": "Trainer"}, "componentRef": {"name": "Trainer"}}}}},
}


def constant(text):
    return {"runtimeValue": {"constant": text}}


def settings():
    return {
        "secretAsEnv": [
            {
                "secretNameParameter": constant("my-secret"),
                "secretName": "my-secret",
                "keyToEnv": [{"secretKey": "token", "envVar": "TOKEN"}],
            }
        ],
        "pvcMount": [{"pvcNameParameter": constant("datasets"), "constant": "datasets", "mountPath": "/data"}],
        "nodeSelector": {"labels": {"disktype": "ssd"}},
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "team", "operator": "Equal", "value": "vision", "effect": "NoExecute"},
        ],
        "imagePullSecret": [{"secretNameParameter": constant("registry"), "secretName": "registry"}],
    }


def platform(**executors):
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def wrong(**changes):
    return platform(Trainer_executor=settings() | changes)


WRONG = {
    "a field that there is not": ([SPEC, wrong(nodeSelectors={})], "nodeSelectors"),
    "one within": ([SPEC, wrong(pvcMount=[{"claim": "datasets", "mountPath": "/data"}])], "claim"),
    "a value of another type": ([SPEC, wrong(nodeSelector={"labels": {"disks": 1}})], "labels"),
    "an executor that there is not": ([SPEC, platform(Trainer=settings())], "no executor Trainer"),
    "two documents for the platform": ([SPEC, platform(), platform()], "one or two"),
    "no PipelineSpec": ([SPEC | {"tasks": {}}], "tasks"),
}


def test_kfp_takes_what_we_write_and_nothing_wrong(check_with_kfp, tmp_path):
    right = [[SPEC], [SPEC, platform(Trainer_executor=settings())]]
    wrong = [documents for documents, _ in WRONG.values()]
    files = [tmp_path / f"{number}.yaml" for number in range(len(right + wrong))]
    for file, documents in zip(files, right + wrong, strict=True):
        file.write_text(yaml.safe_dump_all(documents))

    answers = check_with_kfp(*files)

    assert answers[: len(right)] == [None, None]
    for (why, (_, part)), answer in zip(WRONG.items(), answers[len(right) :], strict=True):
        assert answer and part in answer, why
