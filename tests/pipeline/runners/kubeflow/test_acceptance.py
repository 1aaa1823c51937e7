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
    ("schemaVersion", "2.0.0", r"schemaVersion is 2\.0\.0, but KFP takes only 2\.1\.0"),
    ("schemaVersion", MISSING, "schemaVersion is None"),
    ("pipelineInfo.name", "Shift ViT", "pipelineInfo.name is 'Shift ViT'"),
    ("pipelineInfo.owner", "me", "not a KFP PipelineSpec .*owner"),
    ("root", {}, "nothing to run"),
    (TASKS, {}, "nothing to run"),
    (f"{TASKS}.Train.componentRef.name", "Gone", "task Train: its component Gone is not in components"),
    (f"{TASKS}.Train.taskInfo", MISSING, r"task Train: has no taskInfo\.name"),
    (f"{TASKS}.my_task", {}, "task my_task: a name must be at most 128 letters, digits and '-'"),
    (f"{TASKS}.Train.dependentTasks", ["Gone"], "task Train: depends on the task Gone"),
    (f"{TASKS}.Train.dependentTasks", ["Push"], "tasks Push, Train depend on each other"),
    (f"{INPUT}.producerTask", "Gone", "task Push: depends on the task Gone"),
    (f"{INPUT}.outputArtifactKey", "modle", "task Push: input model comes from Train's output modle"),
    (f"{TASKS}.Push.inputs.artifacts.model", {}, "task Push: input model has no taskOutputArtifact"),
    (f"{TASKS}.Push.inputs", MISSING, "task Push: does not pass model"),
    (f"{TASKS}.Push.inputs.parameters", {"x": {}}, "task Push: passes x, which is not in the parameters"),
    (f"{TASKS}.Train.inputs.parameters.epochs", MISSING, "task Train: does not pass epochs"),
    (f"{TASKS}.Train.inputs.parameters.epochs.componentInputParameter", "gone", "parameter gone, which is not in root"),
    (
        f"{TASKS}.Train.inputs.parameters.run_fn",
        {"componentInputParameter": "epochs"},
        "task Train: parameter run_fn is a STRING, and the pipeline's parameter epochs a NUMBER_INTEGER",
    ),
    (f"{TASKS}.Train.inputs.parameters.run_fn.runtimeValue.constant", 3.0, r"parameter run_fn: 3\.0 is not a STRING"),
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
    (
        "root.inputDefinitions.parameters.epochs.defaultValue",
        "12",
        "root: the default .* of parameter epochs is not",
    ),
    (
        "root.inputDefinitions.parameters.epochs.defaultValue",
        True,
        "root: the default .* of parameter epochs is not",
    ),
    ("root.inputDefinitions.parameters.epochs.parameterType", MISSING, "root: parameter epochs has the type None"),
    ("components.Train.executorLabel", "gone", "component Train: its executor gone"),
    ("components.Train.inputDefinitions.parameters.epochs", {}, "component Train: parameter epochs has the type None"),
    ("components.root", {}, "component root: a name must be"),
    (TRAIN, {"resolver": {}}, "executor train: is resolver, but KFP runs only a container or an importer"),
    (f"{TRAIN}.container.image", "", "executor train: has no image"),
    (f"{TRAIN}.container.command", MISSING, "executor train: has no command"),
    (f"{TRAIN}.container.command", "c", "not a KFP PipelineSpec"),
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


def test_a_valid_pipeline_passes():
    check([SPEC], Path("p.yaml"))
    check([SPEC, PLATFORM], Path("p.yaml"))


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    BROKEN,
    ids=[f"{path}={'missing' if value is MISSING else value}" for path, value, _ in BROKEN],
)
def test_a_problem_is_reported_with_its_place(path, value, problem):
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
def test_platform_settings_that_kfp_would_ignore_are_reported(documents, problem):
    with pytest.raises(ConfigError, match=problem):
        check([SPEC, *documents], Path("p.yaml"))
