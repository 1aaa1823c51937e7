import subprocess
import sys

import pytest
import yaml
from compiled import SMALL
from waiting import HANG_SECONDS, wait_until

from pipeline.cli.main import main
from pipeline.runners.kubeflow import api
from shiftvit.errors import ConfigError, NotBlessedError


def write(file, code):
    """Writes a pipeline with one step and one parameter."""
    inputs = {"parameters": {"data": {"parameterType": "STRING"}}}
    container = {"image": "i", "command": ["python", "-c", code, "{{$.inputs.parameters['data']}}"]}
    task = {
        "taskInfo": {"name": "One"},
        "componentRef": {"name": "One"},
        "inputs": {"parameters": {"data": {"componentInputParameter": "data"}}},
    }
    spec = {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "small"},
        "root": {
            "dag": {"tasks": {"One": task}},
            "inputDefinitions": {"parameters": {"data": {"parameterType": "STRING", "defaultValue": "shapes"}}},
        },
        "components": {"One": {"executorLabel": "one", "inputDefinitions": inputs}},
        "deploymentSpec": {"executors": {"one": {"container": container}}},
    }
    file.write_text(yaml.safe_dump(spec))
    return str(file)


def test_compile_writes_the_file_and_prints_the_next_command(tmp_path, capsys):
    file = tmp_path / "p.yaml"
    settings = [word for setting in SMALL for word in ("--set", setting)]

    assert main(["kubeflow", "compile", "-o", str(file), "--preset", "cifar10", "--data", "tfds", *settings]) == 0

    spec, _ = yaml.safe_load_all(file.read_text())
    assert spec["root"]["inputDefinitions"]["parameters"]["data"]["defaultValue"] == "tfds"
    assert f"`shiftvit kubeflow rehearse {file}`" in capsys.readouterr().out


def test_an_invalid_configuration_is_one_error_message(tmp_path, capsys):
    assert main(["kubeflow", "compile", "-o", str(tmp_path / "p.yaml")]) == ConfigError.exit_code

    (message,) = capsys.readouterr().err.splitlines()
    assert message.startswith("shiftvit: kubeflow.image is not set: --set kubeflow.image=NAME")


def test_a_rehearsal_shows_its_steps_and_its_folder(tmp_path, capfd):
    file, folder = write(tmp_path / "p.yaml", "import sys; print(sys.argv[1])"), tmp_path / "cluster"

    assert main(["kubeflow", "rehearse", file, "--folder", str(folder), "--set-parameter", "data=mine"]) == 0

    shown = capfd.readouterr()
    assert "One: complete" in shown.err and f"are in {folder}" in shown.out
    assert next((folder / "logs").glob("*/One.log")).read_text() == "mine\n"


@pytest.mark.parametrize("command", ["rehearse", "submit"])
def test_an_unknown_parameter_is_refused_before_anything_runs(command, tmp_path, capsys):
    file = write(tmp_path / "p.yaml", "")
    host = ["--host", "http://127.0.0.1:1"] if command == "submit" else ["--folder", str(tmp_path / "cluster")]

    assert main(["kubeflow", command, file, *host, "--set-parameter", "dat=x"]) == ConfigError.exit_code

    assert "has no parameter dat; did you mean data?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "p.yaml"]


def test_a_terminated_rehearsal_ends_its_steps(tmp_path):
    file = write(tmp_path / "p.yaml", "import os, sys, time; open(sys.argv[1], 'w').close(); time.sleep(3600)")
    command = [sys.executable, "-m", "pipeline.cli.main", "kubeflow", "rehearse", file, "--folder", str(tmp_path / "c")]
    rehearsal = subprocess.Popen([*command, "--set-parameter", f"data={tmp_path}/started"], stderr=subprocess.PIPE)
    wait_until((tmp_path / "started").exists, rehearsal)

    rehearsal.terminate()

    assert rehearsal.wait(HANG_SECONDS) == 130
    assert list((tmp_path / "c/steps").glob("*/*")) == []


def test_submit_waits_and_prints_the_states(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(api.TOKEN_VARIABLE, "secret")
    server.state.token, server.state.progress = "secret", [{"state": "RUNNING"}, {"state": "SUCCEEDED"}]
    file = write(tmp_path / "p.yaml", "")

    assert main(["kubeflow", "submit", file, "--host", server.url, "--run-name", "mine", "--wait"]) == 0

    (run,) = server.state.runs
    url = f"{server.url}/#/runs/details/{run['run_id']}"
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [f"mine: {url}", "Run: running", "Run: succeeded"]
    assert "secret" not in shown.out + shown.err


def test_a_refused_model_ends_submit_with_its_own_exit_code(server, tmp_path, capsys):
    spec = yaml.safe_load((tmp_path / "p.yaml").read_text()) if write(tmp_path / "p.yaml", "") else {}
    spec["root"]["dag"]["tasks"]["Refused"] = spec["root"]["dag"]["tasks"]["One"]
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(spec))
    tasks = [{"display_name": "Refused", "state": "SUCCEEDED"}]
    server.state.progress = [{"state": "SUCCEEDED", "run_details": {"task_details": tasks}}]

    command = ["kubeflow", "submit", str(tmp_path / "p.yaml"), "--host", server.url, "--wait"]
    assert main(command) == NotBlessedError.exit_code

    assert "pushed no version" in capsys.readouterr().err


def test_a_failed_run_is_an_error(server, tmp_path, capsys):
    server.state.progress = [{"state": "FAILED"}]

    assert main(["kubeflow", "submit", write(tmp_path / "p.yaml", ""), "--host", server.url, "--wait"]) == 1

    assert " failed" in capsys.readouterr().err
