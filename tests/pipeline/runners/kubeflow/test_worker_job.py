import argparse
import dataclasses
import re
from pathlib import PurePosixPath

import pytest
import yaml

from pipeline.cli import kubeflow
from pipeline.cli.main import make_parser
from pipeline.cli.options import resolve
from pipeline.config.overrides import override
from pipeline.config.presets import quickstart
from pipeline.config.settings import PipelineConfig
from pipeline.runners.kubeflow import worker_job
from shiftvit.cluster import Cluster, read_cluster
from shiftvit.errors import ConfigError

SETTINGS = (
    "kubeflow.volumes=data:/data,scratch:/scratch",
    "kubeflow.env=A=b=c",
    "kubeflow.secrets=TOKEN=secret:key",
    "kubeflow.node_selector=disk=ssd",
    "kubeflow.gpu_node_selector=gpu=h100",
    "kubeflow.tolerations=spot=yes:NoExecute",
    "kubeflow.image_pull_secret=pull",
    "train.epochs=7",
)


def parse(folder, *arguments):
    parser = argparse.ArgumentParser()
    kubeflow.add(parser.add_subparsers())
    places = ("--records", "/data/examples", "--model", "/data/model", "--state", "/scratch/state")
    return parser.parse_args(["kubeflow", "worker-job", "-o", str(folder / "job.yaml"), *places, *arguments])


def make(folder, *arguments, settings=SETTINGS, image="registry/shiftvit:1", workers=2):
    """Writes the file and returns its documents by kind."""
    sets = [text for setting in settings for text in ("--set", setting)]
    options = parse(folder, "--workers", str(workers), *(["--image", image] if image else []), *sets, *arguments)
    assert options.command(options) == 0
    return {document["kind"]: document for document in yaml.safe_load_all((folder / "job.yaml").read_text())}


def expand(env, index):
    """Returns the variables of a pod as Kubernetes sets them: in order, $(NAME) from those before."""
    values = {}
    for variable in env:
        if "value" in variable:
            values[variable["name"]] = re.sub(
                r"\$\((\w+)\)", lambda match: values.get(match[1], match[0]), variable["value"]
            )
        elif "fieldRef" in variable["valueFrom"]:
            path = variable["valueFrom"]["fieldRef"]["fieldPath"]
            values[variable["name"]] = {"metadata.annotations['batch.kubernetes.io/job-completion-index']": index}[path]
    return values


def pod(documents):
    return documents["Job"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("index", range(3))
def test_each_pod_knows_its_index_and_the_names_of_all(tmp_path, monkeypatch, index):
    documents = make(tmp_path, "--name", "big", workers=3, settings=(*SETTINGS, "train.batch_size=96"))

    monkeypatch.setenv("TF_CONFIG", expand(pod(documents)["containers"][0]["env"], str(index))["TF_CONFIG"])
    service, port = documents["Service"]["metadata"]["name"], documents["Service"]["spec"]["ports"][0]["port"]
    # An Indexed Job gives a pod the hostname JOB-INDEX, and a headless Service the domain that it is in.
    workers = tuple(f"{documents['Job']['metadata']['name']}-{number}.{service}:{port}" for number in range(3))
    assert read_cluster() == Cluster(workers, index)
    assert pod(documents)["subdomain"] == service
    assert documents["Job"]["spec"]["completionMode"] == "Indexed"
    assert documents["Job"]["spec"]["completions"] == documents["Job"]["spec"]["parallelism"] == 3


def test_the_service_finds_the_pods_before_they_are_ready(tmp_path):
    documents = make(tmp_path)
    labels = documents["Job"]["spec"]["template"]["metadata"]["labels"]
    service = documents["Service"]["spec"]
    assert service["selector"].items() <= labels.items()
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)


def test_a_dead_worker_is_replaced_and_a_wrong_configuration_is_not_retried(tmp_path):
    job = make(tmp_path)["Job"]["spec"]
    assert job["backoffLimitPerIndex"] > 0 and job["maxFailedIndexes"] == 0
    fail, ignore = job["podFailurePolicy"]["rules"]
    assert (fail["action"], fail["onExitCodes"]["values"]) == ("FailJob", [2, 3])
    assert fail["onExitCodes"]["containerName"] == job["template"]["spec"]["containers"][0]["name"]
    assert (ignore["action"], ignore["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert job["template"]["spec"]["restartPolicy"] == "Never", "podFailurePolicy requires it"


def test_the_command_reads_the_configuration_in_the_manifest(tmp_path):
    documents = make(tmp_path)
    (container,) = pod(documents)["containers"]
    program, *arguments = container["command"]
    options = make_parser().parse_args(arguments)
    assert program == "shiftvit" and (str(options.records), str(options.state)) == ("/data/examples", "/scratch/state")

    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(documents)["volumes"]}
    assert mounts.keys() == volumes.keys()
    (mounted,) = (name for name, path in mounts.items() if PurePosixPath(path) == PurePosixPath(options.config).parent)
    assert volumes[mounted]["configMap"]["name"] == documents["ConfigMap"]["metadata"]["name"]
    options.config = tmp_path / options.config.name
    options.config.write_text(documents["ConfigMap"]["data"][options.config.name])
    expected = override(quickstart(), [*SETTINGS, "kubeflow.image=registry/shiftvit:1"])
    assert resolve(options).train == expected.train and resolve(options).kubeflow == expected.kubeflow


def test_pods_get_the_resources_of_the_trainer(tmp_path):
    documents = make(tmp_path, "--set", "kubeflow.steps.trainer.gpus=2", "--set", "kubeflow.steps.trainer.memory=9Gi")
    spec = pod(documents)
    (container,) = spec["containers"]
    claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "configMap" not in v}
    mounted = {claims[m["name"]]: m["mountPath"] for m in container["volumeMounts"] if m["name"] in claims}

    assert container["image"] == "registry/shiftvit:1" and spec["imagePullSecrets"] == [{"name": "pull"}]
    assert container["resources"]["limits"] == {"cpu": "8", "memory": "9Gi", "nvidia.com/gpu": 2}
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert {"name": "A", "value": "b=c"} in container["env"]
    assert {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "key"}}} in container["env"]
    assert mounted == {"data": "/data", "scratch": "/scratch"}
    assert spec["nodeSelector"] == {"disk": "ssd", "gpu": "h100"}
    assert spec["tolerations"] == [
        {"key": "spot", "operator": "Equal", "value": "yes", "effect": "NoExecute"},
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    ]
    assert spec["securityContext"]["runAsNonRoot"] is True


def test_pods_without_gpus_get_no_gpu_placement(tmp_path):
    spec = pod(make(tmp_path, "--set", "kubeflow.steps.trainer.gpus=0"))
    assert "nvidia.com/gpu" not in spec["containers"][0]["resources"]["limits"]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert [toleration["key"] for toleration in spec["tolerations"]] == ["spot"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": ""}, "--image is missing"),
        ({"workers": 0}, "--workers=0 must be from 1 to 10,000"),
        ({"workers": 3}, "train.batch_size=256 is not divisible by the 3 devices"),
        ({"settings": ()}, "--records=/data/examples is on no volume"),
        ({"settings": ("kubeflow.volumes=data:/data",)}, "--state=/scratch/state is on no volume"),
        ({"settings": (*SETTINGS, "train.initial_weights=w.npz")}, "train.initial_weights=w.npz is on no volume"),
        ({"settings": (*SETTINGS, "train.replicas=4")}, "train.replicas=4, but each of several workers"),
    ],
)
def test_a_job_that_could_not_train_is_refused_and_nothing_is_written(tmp_path, monkeypatch, options, message):
    monkeypatch.setattr("pipeline.cli.options._DEFAULT_PRESET", "cifar10")
    with pytest.raises(ConfigError, match=re.escape(message)):
        make(tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["Big", "1st", "a_b", "a" * 53, "a-"])
def test_a_name_that_kubernetes_would_reject_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=f"--name {name}: must be"):
        make(tmp_path, "--name", name)


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"absent/job\.yaml: cannot write there"):
        make(tmp_path / "absent")


def test_manifests_can_be_made_from_python():
    kubeflow = dataclasses.replace(PipelineConfig().kubeflow, image="i", volumes=("data:/data",))
    job = worker_job.WorkerJob("name", 4, "/data/r", "/data/m", "/data/s")
    documents = worker_job.manifests(PipelineConfig(kubeflow=kubeflow), job)
    assert [document["kind"] for document in documents] == ["ConfigMap", "Service", "Job"]
