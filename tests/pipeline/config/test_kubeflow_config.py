import dataclasses
import re

import pytest

from pipeline.config.kubeflow import StepConfig, StepsConfig
from pipeline.config.overrides import override
from pipeline.config.settings import PipelineConfig
from pipeline.graph.nodes import Node
from shiftvit.errors import ConfigError


def test_steps_has_a_field_for_every_node():
    fields = [field.name for field in dataclasses.fields(StepsConfig)]

    assert fields == [re.sub("(?<!^)(?=[A-Z])", "_", node).lower() for node in Node]


def test_steps_of_a_node_is_its_field():
    fields = [field.name for field in dataclasses.fields(StepsConfig)]
    steps = StepsConfig(**{name: StepConfig(gpus=place) for place, name in enumerate(fields)})

    assert [steps.of(node).gpus for node in Node] == list(range(len(fields)))


def test_a_node_without_a_field_gets_the_default_resources():
    assert StepsConfig().of("Weigh") == StepConfig()


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            "steps.trainer.memory=32GB",
            r"\.trainer\.memory=32GB is not a Kubernetes quantity such as .*8Gi",
        ),
        ("steps.tuner.cpu=two", r"kubeflow\.steps\.tuner\.cpu=two is not a Kubernetes quantity"),
        ("steps.trainer.gpus=-1", r"kubeflow\.steps\.trainer\.gpus=-1 must be from 0 to 64"),
        ("steps.trainr.gpus=1", r"unknown key kubeflow\.steps\.trainr\.gpus; did you mean kubeflow\.steps\.trainer"),
        ("env=A", r"kubeflow\.env: 'A' is not NAME=VALUE"),
        ("env=1A=b", r"kubeflow\.env: '1A=b' is not NAME=VALUE"),
        ("secrets=TOKEN=secret", r"kubeflow\.secrets: 'TOKEN=secret' is not NAME=SECRET:KEY"),
        ("volumes=data", r"kubeflow\.volumes: 'data' is not CLAIM:/PATH"),
        ("volumes=a.b:/data", r"kubeflow\.volumes: 'a\.b:/data' is not CLAIM:/PATH"),
        ("volumes=a:/b,a:/c", r"kubeflow\.volumes=a:/b,a:/c: Kubernetes mounts each claim only once"),
        ("node_selector=disk", r"kubeflow\.node_selector: 'disk' is not LABEL=VALUE"),
        ("gpu_node_selector=disk", r"kubeflow\.gpu_node_selector: 'disk' is not LABEL=VALUE"),
        ("tolerations=key:Sometimes", r"kubeflow\.tolerations: 'key:Sometimes' is not KEY:EFFECT .*NoExecute"),
        ("gpu_tolerations=key", r"kubeflow\.gpu_tolerations: 'key' is not KEY:EFFECT"),
        (
            "pipeline_root=/local",
            r"kubeflow\.pipeline_root: '/local' is not a folder in a bucket of minio://, s3:// or gs://",
        ),
        ("image_pull_secret=My_Secret", r"kubeflow\.image_pull_secret: 'My_Secret' is not the name of a Kubernetes"),
        ("secrets=TOKEN=a..b:key", r"kubeflow\.secrets: 'TOKEN=a\.\.b:key' is not NAME=SECRET:KEY"),
        ("node_selector=-a=b", r"kubeflow\.node_selector: '-a=b' is not LABEL=VALUE"),
        ("node_selector=a=b-", r"kubeflow\.node_selector: 'a=b-' is not LABEL=VALUE"),
        ("volumes=a:/b:c", r"kubeflow\.volumes: 'a:/b:c' is not CLAIM:/PATH"),
        ("volumes=a:/b,c:/b", r"kubeflow\.volumes=a:/b,c:/b: two claims cannot have the same path"),
        ("state=/a/../b", r"kubeflow\.state: '/a/\.\./b' is not the absolute path"),
        ("steps.trainer.cpu=0", r"kubeflow\.steps\.trainer\.cpu=0 must be more than nothing"),
        ("steps.trainer.memory=1e99Gi", r"memory=1e99Gi is not a Kubernetes quantity"),
        ("state=there", r"kubeflow\.state: 'there' is not the absolute path"),
        ("push_destination=there", r"kubeflow\.push_destination: 'there' is not the absolute path"),
    ],
)
def test_a_value_that_kubernetes_would_reject_is_refused(setting, sentence):
    with pytest.raises(ConfigError, match=sentence):
        override(PipelineConfig(), [f"kubeflow.{setting}"])


DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    "image",
    [
        "shiftvit",
        "shiftvit:1",
        "team/shift-vit__x.y:1.0-rc_1",
        "registry.example.org:5000/team/shiftvit:1",
        "localhost/shiftvit",
        "[::1]:5000/shiftvit",
        f"gcr.io/p/shiftvit@{DIGEST}",
        f"shiftvit:1@{DIGEST}",
    ],
)
def test_the_name_of_an_image_is_accepted(image):
    assert override(PipelineConfig(), [f"kubeflow.image={image}"]).kubeflow.image == image


@pytest.mark.parametrize(
    "image",
    [
        " ",
        "Shift ViT",
        "-x",
        "ShiftViT:1",
        "registry/Team/shiftvit",
        "shiftvit:",
        "shiftvit:-1",
        f"shiftvit:{'1' * 129}",
        "shiftvit@sha256:12",
        "a//b",
        "/shiftvit",
        "shiftvit/",
        "https://registry/shiftvit",
        "registry:port/shiftvit",
        "shift___vit",
        "shiftvit\n",
        "\u0661",
        "a" * 256,
        "a-" * 5000,
    ],
)
@pytest.mark.parametrize("setting", ["kubeflow.image", "beam.image"])
def test_what_is_no_image_is_refused(setting, image):
    engine = ["beam.runner=spark", "beam.address=a:1"] if setting == "beam.image" else []

    with pytest.raises(ConfigError, match=rf"{setting}=.* is not an image such as registry\.example\.org"):
        override(PipelineConfig(), [*engine, f"{setting}={image}"])
