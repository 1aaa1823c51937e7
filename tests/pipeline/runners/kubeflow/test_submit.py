import hashlib
import json
import subprocess

import api_server
import pytest
import yaml

from pipeline.cli.main import main
from pipeline.runners.kubeflow import api, submit
from pipeline.runners.kubeflow.submit import RUN, Names
from shiftvit.errors import ConfigError, UserError

SPEC = {
    "schemaVersion": "2.1.0",
    "pipelineInfo": {"name": "shiftvit"},
    "root": {
        "dag": {"tasks": {"Trainer": {}, "Pusher": {}}},
        "inputDefinitions": {"parameters": {"epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1}}},
    },
}
PLATFORMS = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "shiftvit.yaml"
    path.write_text(yaml.safe_dump_all([SPEC, PLATFORMS]))
    return path


def change(file):
    file.write_text(file.read_text() + "# changed\n")


def refusal(kind, act, *arguments, **named):
    with pytest.raises(kind) as raised:
        act(*arguments, **named)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_first_submission_makes_pipeline_version_experiment_and_run(server, file):
    run = submit.submit(file, server.url + "/", ["epochs=3"], Names(run="first", experiment="trials"))

    state = server.state
    (made,), (version,) = state.runs, state.versions
    assert (run.id, run.url) == (made["run_id"], f"{server.url}/#/runs/details/{made['run_id']}")
    assert (made["display_name"], made["runtime_config"]) == ("first", {"parameters": {"epochs": 3}})
    assert made["pipeline_version_reference"] == {key: version[key] for key in ("pipeline_id", "pipeline_version_id")}
    assert [(e["experiment_id"], e["display_name"]) for e in state.experiments] == [(made["experiment_id"], "trials")]
    assert [pipeline["name"] for pipeline in state.pipelines] == ["shiftvit"]
    (upload,) = state.asked("POST", "pipelines/upload")
    assert upload.body == ("shiftvit.yaml", file.read_bytes())


def test_with_names_left_open_a_changed_file_becomes_a_version_and_an_unchanged_one_is_run_again(server, file):
    submit.submit(file, server.url)
    submit.submit(file, server.url)
    change(file)
    submit.submit(file, server.url)
    submit.submit(file, server.url)

    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert [version["name"] for version in server.state.versions] == ["shiftvit", f"shiftvit-{digest[:12]}"]
    first, second = (version["pipeline_version_id"] for version in server.state.versions)
    used = [run["pipeline_version_reference"]["pipeline_version_id"] for run in server.state.runs]
    assert used == [first, first, second, second]
    assert [pipeline["name"] for pipeline in server.state.pipelines] == ["shiftvit"]
    assert [experiment["display_name"] for experiment in server.state.experiments] == ["Default"]
    assert server.state.runs[0]["display_name"].startswith("shiftvit 20")


def test_a_name_may_hold_any_character(server, file):
    names = Names(run="a/b ü?", pipeline="x/y & ü", experiment="50%")
    submit.submit(file, server.url, names=names)
    submit.submit(file, server.url, names=names)

    assert [pipeline["name"] for pipeline in server.state.pipelines] == ["x/y & ü"]
    assert [experiment["display_name"] for experiment in server.state.experiments] == ["50%"]
    assert [run["display_name"] for run in server.state.runs] == ["a/b ü?"] * 2


def test_a_file_with_another_ending_is_uploaded_as_yaml(server, file):
    submit.submit(file.rename(file.with_suffix(".spec")), server.url)

    assert server.state.asked("POST", "pipelines/upload")[0].body[0] == "shiftvit.yaml"


def test_where_many_users_are_served_everything_goes_into_the_namespace(server, file):
    server.state.multi_user = True
    assert "--namespace" in refusal(ConfigError, submit.submit, file, server.url)

    submit.submit(file, server.url, names=Names(namespace="ada"))
    submit.submit(file, server.url, names=Names(namespace="ada"))

    assert [made["namespace"] for made in server.state.pipelines + server.state.experiments] == ["ada", "ada"]


@pytest.mark.parametrize(
    ("settings", "names", "said"),
    [
        (["epochs=x"], Names(), "epochs=x"),
        ([], Names(run="r" * 256), "--run-name"),
        ([], Names(run="ü" * 128), "--run-name"),
        ([], Names(pipeline="p" * 115), "--pipeline-name"),
        ([], Names(experiment="e" * 129), "--experiment"),
        ([], Names(namespace="n" * 64), "--namespace"),
    ],
)
def test_what_kfp_would_refuse_is_refused_before_anything_is_sent(server, file, settings, names, said):
    assert said in refusal(ConfigError, submit.submit, file, server.url, settings, names)
    assert server.state.requests == []


def test_the_longest_names_are_taken(server, file):
    names = Names("r" * 255, "p" * 114, "e" * 128)
    submit.submit(file, server.url, names=names)
    change(file)
    submit.submit(file, server.url, names=names)

    assert len(server.state.versions[1]["name"]) == 127


def test_json_of_the_command_is_the_run_alone_and_its_steps_are_on_stderr(server, file, capsys):
    server.state.progress = [{"state": "SUCCEEDED"}]
    assert main(["kubeflow", "submit", str(file), "--host", server.url, "--run-name", "first", "--json", "--wait"]) == 0

    out, err = capsys.readouterr()
    (made,) = server.state.runs
    told = {"name": "first", "id": made["run_id"], "url": f"{server.url}/#/runs/details/{made['run_id']}"}
    assert json.loads(out) == told and f"{RUN}: succeeded" in err


# Nothing is done twice.


@pytest.mark.parametrize("fault", [502, 503, 504, "lose"])
@pytest.mark.parametrize("path", ["pipelines/upload", "pipelines/upload_version", "experiments", "runs"])
def test_a_creation_without_an_answer_is_done_once(server, file, path, fault):
    submit.submit(file, server.url, names=Names("r", "other" if path == "pipelines/upload" else "p", "e"))
    change(file)
    state = server.state
    before = [len(made) for made in (state.pipelines, state.versions, state.experiments, state.runs)]
    state.fail("POST", path, fault)
    attempts = len(state.asked("POST", path)) + (1 if fault == "lose" else 2)

    run = submit.submit(file, server.url, names=Names("r", "p", "new"))

    after = [len(made) for made in (state.pipelines, state.versions, state.experiments, state.runs)]
    assert after == [before[0] + (path == "pipelines/upload"), before[1] + 1, before[2] + 1, before[3] + 1]
    assert run.id == state.runs[-1]["run_id"]
    assert len(state.asked("POST", path)) == attempts


def test_a_run_of_the_same_name_is_not_taken_for_one_without_an_answer(server, file):
    other = submit.submit(file, server.url, names=Names("r"))
    server.state.fail("POST", "runs", 502)

    assert submit.submit(file, server.url, names=Names("r")).id != other.id


def test_one_who_was_faster_with_the_same_names_is_joined(server, file):
    submit.submit(file, server.url)
    server.state.fail("GET", "pipelines/names/shiftvit", (404, JSON, '{"code": 5, "message": "not found"}'))
    server.state.fail("GET", "experiments", (200, JSON, "{}"))

    submit.submit(file, server.url)

    assert len(server.state.asked("POST", "pipelines/upload")) == len(server.state.asked("POST", "experiments")) == 2
    assert len(server.state.pipelines) == len(server.state.versions) == len(server.state.experiments) == 1


# Waiting.


def task(name, state, **more):
    return {"display_name": name, "state": state} | more


def look(state, *tasks, **more):
    return {"state": state, "run_details": {"task_details": list(tasks)}} | more


def wait(server, file, *progress):
    """Returns what was reported, and how the wait ended: None or its error."""
    server.state.progress = list(progress)
    run, told = submit.submit(file, server.url, names=Names(run="r")), []
    try:
        run.wait(lambda name, state: told.append((name, state)))
    except UserError as error:
        assert "\n" not in str(error) and run.url in str(error)
        return told, str(error)
    return told, None


def test_a_wait_tells_each_change_and_ends_with_success(server, file):
    told, error = wait(
        server,
        file,
        {"state": "PENDING"},
        look("RUNNING", task("root", "RUNNING"), task("Trainer-driver", "SUCCEEDED"), task("Trainer", "RUNNING")),
        look("RUNNING", task("Trainer", "RUNNING"), task("executor", "RUNNING")),
        look("SUCCEEDED", task("Trainer", "SUCCEEDED"), task("Pusher", "SKIPPED")),
    )

    assert error is None
    assert told == [
        (RUN, "PENDING"),
        ("Trainer-driver", "SUCCEEDED"), ("Trainer", "RUNNING"), (RUN, "RUNNING"),
        ("Trainer", "SUCCEEDED"), ("Pusher", "SKIPPED"), (RUN, "SUCCEEDED"),
    ]  # fmt: skip


def test_a_wait_outlasts_missing_answers(server, file):
    server.state.progress = [{"state": "SUCCEEDED"}]
    run = submit.submit(file, server.url)
    server.state.fail("GET", f"runs/{run.id}", 503, times=3)

    run.wait(lambda *_: None)

    assert len(server.state.asked("GET", f"runs/{run.id}")) == 4


ERROR = {"error": {"code": 13, "message": "exit\ncode 3"}}


@pytest.mark.parametrize(
    ("tasks", "more", "said"),
    [
        ([task("Trainer", "FAILED", **ERROR)], {}, " failed at Trainer (exit code 3); "),
        ([task("Trainer", "FAILED", state_history=[{"state": "RUNNING"}, ERROR])], {}, " at Trainer (exit code 3); "),
        ([task("root", "FAILED"), task("executor", "FAILED"), task("Trainer", "FAILED")], {}, " at Trainer (no reason"),
        ([task("root", "FAILED"), task("Trainer-driver", "FAILED", **ERROR)], {}, " at Trainer-driver (exit code 3); "),
        ([task("Trainer", "SUCCEEDED"), task("root-driver", "FAILED", **ERROR)], {}, " at root-driver (exit code 3); "),
        ([], {}, "run r failed; "),
        ([], ERROR, "run r failed: exit code 3; "),
    ],
)
def test_a_failure_names_the_task_and_kfps_reason(server, file, tasks, more, said):
    told, error = wait(server, file, look("FAILED", *tasks, **more))

    assert said in error and told[-1] == (RUN, "FAILED")


@pytest.mark.parametrize(("state", "said"), [("CANCELED", "run r was cancelled; "), ("SKIPPED", "run r was skipped; ")])
def test_a_run_that_ends_without_success_is_an_error(server, file, state, said):
    assert said in wait(server, file, {"state": state})[1]


# Against the official client.

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


def forms(state):
    """What must be alike in two clients' requests; values may differ."""
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
def test_the_requests_are_those_of_the_official_client(server, file, monkeypatch, tmp_path, kfp_python):
    with api_server.serve() as other:
        other.state.token, other.state.progress = "t", [{"state": "SUCCEEDED"}]
        command = [kfp_python, "-c", KFP_CLIENT, other.url, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        theirs = set(forms(other.state))

    monkeypatch.setenv(api.TOKEN_VARIABLE, "t")
    server.state.token, server.state.progress = "t", [{"state": "SUCCEEDED"}]
    for _ in range(2):
        submit.submit(file, server.url, ["epochs=2"], Names("r", "p", "e", "ada")).wait(lambda *_: None)
        change(file)
    ours = set(forms(server.state))

    token = "Bearer t"
    run = {"display_name", "experiment_id", "runtime_config.parameters.epochs"}
    run |= {f"pipeline_version_reference.{key}" for key in ("pipeline_id", "pipeline_version_id")}
    assert theirs - ours == {("POST", "runs", frozenset(), frozenset(run), token)}
    assert ours - theirs == {
        ("POST", "runs", frozenset(), frozenset(run | {"description"}), token),  # the mark of a submission
        ("GET", "pipelines/names/p", frozenset({"namespace"}), frozenset(), token),
        ("GET", "pipelines/ID/versions", frozenset({"filter"}), frozenset(), token),
    }
