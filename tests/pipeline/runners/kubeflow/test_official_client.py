"""Our requests to KFP compared with those of its official client."""

import subprocess

import api_server
import pytest

from pipeline.runners.kubeflow import api, submit
from pipeline.runners.kubeflow.submit import Names

KFP_CLIENT = """
import sys
from kfp import Client
host, file = sys.argv[1:]
client = Client(host=host, existing_token="t")
experiment = client.create_experiment("e", namespace="ada")
pipeline = client.upload_pipeline(file, pipeline_name="p", description="d", namespace="ada")
version = client.upload_pipeline_version(file, "p-2", pipeline_id=pipeline.pipeline_id, description="d")
run = client.run_pipeline(
    experiment.experiment_id, "r", params={"epochs": 2},
    pipeline_id=version.pipeline_id, version_id=version.pipeline_version_id,
)
assert client.get_run(run.run_id).state == "SUCCEEDED"
"""


def shapes(state):
    """Yields the parts of each request that must be equal in both clients; values may differ."""
    made = state.pipelines + state.versions + state.experiments + state.runs
    ids = {value for thing in made for key, value in thing.items() if key.endswith("_id")}
    for request in state.requests:
        path = "/".join("ID" if part in ids else part for part in request.path.split("/"))
        fields = flat(request.body) if isinstance(request.body, dict) else request.body[:1] if request.body else ()
        yield request.method, path, frozenset(request.query), frozenset(fields), request.headers["Authorization"]


def flat(table, path=""):
    for key, value in table.items():
        yield from flat(value, f"{path}{key}.") if isinstance(value, dict) else [path + key]


@pytest.mark.slow
def test_our_requests_equal_those_of_the_official_client(server, file, monkeypatch, tmp_path, kfp_python):
    with api_server.serve() as other:
        other.state.token, other.state.progress = "t", [{"state": "SUCCEEDED"}]
        command = [kfp_python, "-c", KFP_CLIENT, other.url, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        theirs = set(shapes(other.state))

    monkeypatch.setenv(api.TOKEN_VARIABLE, "t")
    server.state.token, server.state.progress = "t", [{"state": "SUCCEEDED"}]
    for _ in range(2):
        submit.submit(file, server.url, ["epochs=2"], Names("r", "p", "e", "ada")).wait(lambda *_: None)
        file.write_text(file.read_text() + "# changed\n")
    ours = set(shapes(server.state))

    token = "Bearer t"
    run = {"display_name", "experiment_id", "runtime_config.parameters.epochs"}
    run |= {f"pipeline_version_reference.{key}" for key in ("pipeline_id", "pipeline_version_id")}
    assert theirs - ours == {("POST", "runs", frozenset(), frozenset(run), token)}
    assert ours - theirs == {
        ("POST", "runs", frozenset(), frozenset(run | {"description"}), token),  # identifies the submission
        ("GET", "pipelines/names/p", frozenset({"namespace"}), frozenset(), token),
        ("GET", "pipelines/ID/versions", frozenset({"filter"}), frozenset(), token),
    }
