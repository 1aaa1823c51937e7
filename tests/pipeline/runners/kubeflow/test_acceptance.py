import copy
from pathlib import Path

import pytest

from pipeline.runners.kubeflow.acceptance import check
from shiftvit.errors import ConfigError

TEXT, NUMBER = {"parameterType": "STRING"}, {"parameterType": "NUMBER_INTEGER"}
MODEL = {"artifactType": {"instanceSchema": "title: tfx.Model\n"}}
SPEC = {
    "schemaVersion": "2.1.0",
    "pipelineInfo": {"name": "shiftvit"},
    "root": {
        "inputDefinitions": {"parameters": {"epochs": {**NUMBER, "defaultValue": 12.0}}},
        "dag": {
            "tasks": {
                "Train": {
                    "taskInfo": {"name": "Train"},
                    "componentRef": {"name": "Train"},
                    "inputs": {
                        "parameters": {
                            "epochs": {"componentInputParameter": "epochs"},
                            "run_fn": {"runtimeValue": {"constant": "module.run"}},
                        }
                    },
                },
                "Push": {
                    "taskInfo": {"name": "Push"},
                    "componentRef": {"name": "Push"},
                    "inputs": {
                        "artifacts": {
                            "model": {"taskOutputArtifact": {"producerTask": "Train", "outputArtifactKey": "model"}}
                        }
                    },
                },
            }
        },
    },
    "components": {
        "Train": {
            "executorLabel": "train",
            "inputDefinitions": {"parameters": {"epochs": NUMBER, "run_fn": TEXT}},
            "outputDefinitions": {"artifacts": {"model": MODEL}},
        },
        "Push": {"executorLabel": "push", "inputDefinitions": {"artifacts": {"model": MODEL}}},
    },
    "deploymentSpec": {
        "executors": {
            "train": {
                "container": {
                    "image": "i",
                    "command": ["c"],
                    "resources": {
                        "resourceCpuLimit": "500m",
                        "resourceMemoryLimit": "4Gi",
                        "cpuLimit": 0.5,
                        "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
                    },
                }
            },
            "push": {"container": {"image": "i", "command": ["c"]}},
        }
    },
}
PLATFORM = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"train": {}}}}}}

MISSING = object()
TASKS, TRAIN = "root.dag.tasks", "deploymentSpec.executors.train"
RESOURCES = f"{TRAIN}.container.resources"
INPUT = f"{TASKS}.Push.inputs.artifacts.model.taskOutputArtifact"
BROKEN = [
    ("schemaVersion", "2.0.0", r"schemaVersion is 2\.0\.0, and KFP takes 2\.1\.0 only"),
    ("schemaVersion", MISSING, "schemaVersion is None"),
    ("pipelineInfo.name", "Shift ViT", "pipelineInfo.name is 'Shift ViT'"),
    ("pipelineInfo.owner", "me", "no PipelineSpec of KFP .*owner"),
    ("root", {}, "nothing to run"),
    (TASKS, {}, "nothing to run"),
    (f"{TASKS}.Train.componentRef.name", "Gone", "task Train: its component Gone is not in components"),
    (f"{TASKS}.Train.taskInfo", MISSING, r"task Train: has no taskInfo\.name"),
    (f"{TASKS}.my_task", {}, "task my_task: a name is letters, digits and '-'"),
    (f"{TASKS}.Train.dependentTasks", ["Gone"], "task Train: depends on the task Gone"),
    (f"{TASKS}.Train.dependentTasks", ["Push"], "tasks Push, Train depend on each other"),
    (f"{INPUT}.producerTask", "Gone", "task Push: depends on the task Gone"),
    (f"{INPUT}.outputArtifactKey", "modle", "task Push: input model comes from Train's output modle"),
    (f"{TASKS}.Push.inputs.artifacts.model", {}, "task Push: input model has no taskOutputArtifact"),
    (f"{TASKS}.Push.inputs", MISSING, "task Push: does not give model"),
    (f"{TASKS}.Push.inputs.parameters", {"x": {}}, "task Push: gives x, which is not in the parameters"),
    (f"{TASKS}.Train.inputs.parameters.epochs", MISSING, "task Train: does not give epochs"),
    (f"{TASKS}.Train.inputs.parameters.epochs.componentInputParameter", "gone", "parameter gone, which is not in root"),
    (
        f"{TASKS}.Train.inputs.parameters.run_fn",
        {"componentInputParameter": "epochs"},
        "task Train: parameter run_fn is a STRING, and the pipeline's parameter epochs a NUMBER_INTEGER",
    ),
    (f"{TASKS}.Train.inputs.parameters.run_fn.runtimeValue.constant", 3.0, "parameter run_fn is a STRING, and 3.0"),
    (
        f"{TASKS}.Train.inputs.parameters.run_fn",
        {"taskOutputParameter": {"producerTask": "Push", "outputParameterKey": "loss"}},
        "task Train: parameter run_fn comes from Push's output loss",
    ),
    (
        f"{TASKS}.Train.inputs.parameters.run_fn.runtimeValue",
        {"runtimeParameter": "epochs"},
        r"parameter run_fn has no runtimeValue\.constant",
    ),
    ("root.inputDefinitions.parameters.epochs.defaultValue", "12", "root: parameter epochs is a NUMBER_INTEGER"),
    ("root.inputDefinitions.parameters.epochs.defaultValue", True, "root: parameter epochs is a NUMBER_INTEGER"),
    ("root.inputDefinitions.parameters.epochs.parameterType", MISSING, "root: parameter epochs is of type None"),
    ("components.Train.executorLabel", "gone", "component Train: its executor gone"),
    ("components.Train.inputDefinitions.parameters.epochs", {}, "component Train: parameter epochs is of type None"),
    ("components.root", {}, "component root: a name is"),
    (TRAIN, {"resolver": {}}, "executor train: is resolver, and KFP runs only a container or an importer"),
    (f"{TRAIN}.container.image", "", "executor train: has no image"),
    (f"{TRAIN}.container.command", MISSING, "executor train: has no command"),
    (f"{TRAIN}.container.command", "c", "no PipelineSpec of KFP"),
    (f"{RESOURCES}.resourceMemoryLimit", "4 GB", "executor train: resourceMemoryLimit is '4 GB'"),
    (f"{RESOURCES}.cpuLimit", -1, "executor train: cpuLimit is -1"),
    (f"{RESOURCES}.accelerator.count", "0", "executor train: its accelerator"),
    (f"{RESOURCES}.accelerator.type", MISSING, "executor train: its accelerator"),
]


def changed(path, value):
    spec = copy.deepcopy(SPEC)
    *groups, leaf = path.split(".")
    table = spec
    for group in groups:
        table = table[group]
    if value is MISSING:
        del table[leaf]
    else:
        table[leaf] = value
    return spec


def test_what_kfp_accepts_passes():
    check([SPEC], Path("p.yaml"))
    check([SPEC, PLATFORM], Path("p.yaml"))


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    BROKEN,
    ids=[f"{path}={'missing' if value is MISSING else value}" for path, value, _ in BROKEN],
)
def test_what_kfp_does_not_accept_is_told_with_its_place(path, value, problem):
    with pytest.raises(ConfigError, match=f"^p.yaml: .*{problem}"):
        check([changed(path, value)], Path("p.yaml"))


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        (
            [{"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"trian": {}}}}}}],
            "there is no executor trian",
        ),
        ([{"platforms": {"other": {}}}], "has no platforms.kubernetes"),
        ([PLATFORM, PLATFORM], "more than two documents"),
    ],
)
def test_settings_of_the_platform_that_kfp_would_not_apply_are_told(documents, problem):
    with pytest.raises(ConfigError, match=problem):
        check([SPEC, *documents], Path("p.yaml"))
