import dataclasses

import pytest
from compiled import compiled

from pipeline.config.kubeflow import StepConfig, StepsConfig, amount
from pipeline.config.overrides import override
from pipeline.config.settings import PipelineConfig
from shiftvit.errors import ConfigError


def test_every_node_has_its_own_step(tmp_path):
    spec, _ = compiled(tmp_path, "tune.trials=1")
    steps = [step.name for step in dataclasses.fields(StepsConfig)]

    config = StepsConfig(**{name: StepConfig(cpu=str(place)) for place, name in enumerate(steps)})

    assert sorted(config.of(node).cpu for node in spec["root"]["dag"]["tasks"]) == sorted(map(str, range(len(steps))))
    assert steps[int(config.of("Cifar10ExampleGen").cpu)] == "cifar10_example_gen"


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("2", 2), ("0.5", 0.5), ("500m", 0.5), ("3k", 3000), ("4Gi", 4 * 1024**3), ("1.5M", 1.5e6), ("2Ki", 2048)],
)
def test_a_quantity_is_a_number(quantity, number):
    assert amount(quantity) == pytest.approx(number)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("steps.trainer.memory=32GB", r"kubeflow\.steps\.trainer\.memory=32GB is not a quantity .*8Gi"),
        ("steps.tuner.cpu=two", r"kubeflow\.steps\.tuner\.cpu=two is not a quantity"),
        ("steps.trainer.gpus=-1", r"kubeflow\.steps\.trainer\.gpus must not be negative"),
        ("steps.trainr.gpus=1", r"unknown key kubeflow\.steps\.trainr\.gpus; did you mean kubeflow\.steps\.trainer"),
        ("env=A", r"kubeflow\.env: 'A' is not NAME=VALUE"),
        ("env=1A=b", r"kubeflow\.env: '1A=b' is not NAME=VALUE"),
        ("secrets=TOKEN=secret", r"kubeflow\.secrets: 'TOKEN=secret' is not NAME=SECRET:KEY"),
        ("volumes=data", r"kubeflow\.volumes: 'data' is not CLAIM:/PATH"),
        ("volumes=a.b:/data", r"kubeflow\.volumes: 'a\.b:/data' is not CLAIM:/PATH"),
        ("volumes=a:/b,a:/c", r"kubeflow\.volumes=a:/b,a:/c: Kubernetes takes each claim once"),
        ("node_selector=disk", r"kubeflow\.node_selector: 'disk' is not LABEL=VALUE"),
        ("gpu_node_selector=disk", r"kubeflow\.gpu_node_selector: 'disk' is not LABEL=VALUE"),
        ("tolerations=key:Sometimes", r"kubeflow\.tolerations: 'key:Sometimes' is not KEY:EFFECT .*NoExecute"),
        ("gpu_tolerations=key", r"kubeflow\.gpu_tolerations: 'key' is not KEY:EFFECT"),
        ("pipeline_root=/local", r"kubeflow\.pipeline_root=/local must begin with minio://, s3:// or gs://"),
        ("state=there", r"kubeflow\.state=there must be the absolute path"),
        ("push_destination=there", r"kubeflow\.push_destination=there must be the absolute path"),
    ],
)
def test_what_kubernetes_would_not_take_is_told(setting, sentence):
    with pytest.raises(ConfigError, match=sentence):
        override(PipelineConfig(), [f"kubeflow.{setting}"])
