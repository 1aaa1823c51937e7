import hashlib
import json

import pytest
from refusal import refusal

from pipeline.cli.main import main
from pipeline.runners.kubeflow import submit
from pipeline.runners.kubeflow.submit import RUN, Names
from shiftvit.errors import ConfigError

JSON = {"Content-Type": "application/json"}


def change(file):
    file.write_text(file.read_text() + "# changed\n")


def test_the_first_submission_creates_pipeline_version_experiment_and_run(server, file):
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


def test_a_changed_file_becomes_a_version_and_an_unchanged_one_is_run_again(server, file):
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


def test_a_name_may_contain_any_character(server, file):
    names = Names(run="a/b ü?", pipeline="x/y & ü", experiment="50%")
    submit.submit(file, server.url, names=names)
    submit.submit(file, server.url, names=names)

    assert [pipeline["name"] for pipeline in server.state.pipelines] == ["x/y & ü"]
    assert [experiment["display_name"] for experiment in server.state.experiments] == ["50%"]
    assert [run["display_name"] for run in server.state.runs] == ["a/b ü?"] * 2


def test_a_file_with_another_extension_is_uploaded_as_yaml(server, file):
    submit.submit(file.rename(file.with_suffix(".spec")), server.url)

    assert server.state.asked("POST", "pipelines/upload")[0].body[0] == "shiftvit.yaml"


def test_a_multi_user_installation_requires_the_namespace(server, file):
    server.state.multi_user = True
    assert "--namespace" in refusal(ConfigError, submit.submit, file, server.url)

    submit.submit(file, server.url, names=Names(namespace="ada"))
    submit.submit(file, server.url, names=Names(namespace="ada"))

    assert [made["namespace"] for made in server.state.pipelines + server.state.experiments] == ["ada", "ada"]


@pytest.mark.parametrize(
    ("settings", "names", "message"),
    [
        (["epochs=x"], Names(), "epochs=x"),
        ([], Names(run="r" * 256), "--run-name"),
        ([], Names(run="ü" * 128), "--run-name"),
        ([], Names(pipeline="p" * 115), "--pipeline-name"),
        ([], Names(experiment="e" * 129), "--experiment"),
        ([], Names(namespace="n" * 64), "--namespace"),
    ],
)
def test_invalid_input_is_refused_before_anything_is_sent(server, file, settings, names, message):
    assert message in refusal(ConfigError, submit.submit, file, server.url, settings, names)
    assert server.state.requests == []


def test_the_longest_names_are_accepted(server, file):
    names = Names("r" * 255, "p" * 114, "e" * 128)
    submit.submit(file, server.url, names=names)
    change(file)
    submit.submit(file, server.url, names=names)

    assert len(server.state.versions[1]["name"]) == 127


def test_json_prints_only_the_run_and_states_go_to_stderr(server, file, capsys):
    server.state.progress = [{"state": "SUCCEEDED"}]
    assert main(["kubeflow", "submit", str(file), "--host", server.url, "--run-name", "first", "--json", "--wait"]) == 0

    out, err = capsys.readouterr()
    (made,) = server.state.runs
    expected = {"name": "first", "id": made["run_id"], "url": f"{server.url}/#/runs/details/{made['run_id']}"}
    assert json.loads(out) == expected and f"{RUN}: succeeded" in err


@pytest.mark.parametrize("fault", [502, 503, 504, "lose"])
@pytest.mark.parametrize("path", ["pipelines/upload", "pipelines/upload_version", "experiments", "runs"])
def test_a_creation_without_an_answer_is_carried_out_once(server, file, path, fault):
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


def test_a_run_of_the_same_name_is_not_mistaken_for_one_without_an_answer(server, file):
    other = submit.submit(file, server.url, names=Names("r"))
    server.state.fail("POST", "runs", 502)

    assert submit.submit(file, server.url, names=Names("r")).id != other.id


def test_what_another_client_created_in_the_meantime_is_used(server, file):
    submit.submit(file, server.url)
    server.state.fail("GET", "pipelines/names/shiftvit", (404, JSON, '{"code": 5, "message": "not found"}'))
    server.state.fail("GET", "experiments", (200, JSON, "{}"))

    submit.submit(file, server.url)

    assert len(server.state.asked("POST", "pipelines/upload")) == len(server.state.asked("POST", "experiments")) == 2
    assert len(server.state.pipelines) == len(server.state.versions) == len(server.state.experiments) == 1
