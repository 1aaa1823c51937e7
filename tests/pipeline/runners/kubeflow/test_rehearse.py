import json
from pathlib import Path

import pytest
import yaml
from waiting import HANG_SECONDS

from pipeline.runners.kubeflow import rehearsal_cluster
from pipeline.runners.kubeflow.rehearse import rehearse
from pipeline.runs.events import COMPLETE, FAILED, INTERRUPTED, RUNNING, SKIPPED
from shiftvit.errors import ConfigError, DataError, UserError
from shiftvit.processes import describe_signal

TYPE = {"artifactType": {"instanceSchema": "title: tfx.Model\n"}}
# Start of the code of each small step below; `fact` is its ExecutorInput.
HEAD = """
import json, signal, sys, time
from pathlib import Path
fact = json.loads(sys.argv[1])
def report(**metadata):
    uri = fact["outputs"]["artifacts"]["model"]["artifacts"][0]["uri"]
    listed = {"artifacts": [{"uri": uri, "metadata": metadata}]}
    Path(fact["outputs"]["outputFile"]).write_text(json.dumps({"artifacts": {"model": listed}}))
"""


class Recorder:
    def __init__(self):
        self.events = []

    def show(self, event):
        self.events.append(event)

    def states(self, state):
        return [event["node"] for event in self.events if event["event"] == "node" and event["state"] == state]


def task(code, *arguments, needs=(), makes=(), after=(), **parameters):
    """Returns the task, component and executor of a small step."""
    inputs = {
        "artifacts": {
            name: {"taskOutputArtifact": {"producerTask": name, "outputArtifactKey": "model"}} for name in needs
        },
        "parameters": {name: {"componentInputParameter": name} for name in parameters},
    }
    component = {
        "inputDefinitions": {"artifacts": dict.fromkeys(needs, TYPE), "parameters": parameters},
        "outputDefinitions": {"artifacts": dict.fromkeys(makes, TYPE)},
    }
    container = {"image": "i", "command": ["python", "-c", HEAD + code], "args": ["{{$}}", *arguments]}
    return {"inputs": inputs, "dependentTasks": list(after)}, component, {"container": container}


def write(file, tasks, parameters=None):
    root = {"dag": {"tasks": {}}, "inputDefinitions": {"parameters": parameters or {}}}
    components, executors = {}, {}
    for name, (task, component, executor) in tasks.items():
        root["dag"]["tasks"][name] = task | {"taskInfo": {"name": name}, "componentRef": {"name": name}}
        components[name], executors[f"{name}_executor"] = component | {"executorLabel": f"{name}_executor"}, executor
    spec = {
        "schemaVersion": "2.1.0",
        "pipelineInfo": {"name": "small"},
        "root": root,
        "components": components,
        "deploymentSpec": {"executors": executors},
    }
    file.write_text(yaml.safe_dump(spec))
    return file


def run(folder, tasks, **parameters):
    recorder = Recorder()
    file = write(folder / "p.yaml", tasks, parameters)
    return rehearse(file, {}, folder / "cluster", recorder.show), recorder


def log(folder, task):
    (file,) = (folder / "cluster/logs").glob(f"*/{task}.log")
    return file.read_text()


MAKE = (
    'm = Path(sys.argv[2]); (m / "empty").mkdir(parents=True); (m / "d").mkdir(); (m / "d/f").write_text("weights")\n'
)


def test_an_artifact_loses_its_empty_folders_in_the_bucket(tmp_path):
    show = "root = Path(sys.argv[2]); print(sorted(str(p.relative_to(root)) for p in root.rglob('*')))"
    tasks = {
        "Make": task(MAKE, "{{$.outputs.artifacts['model'].path}}", makes=["model"]),
        "Use": task(show, "{{$.inputs.artifacts['Make'].path}}", needs=["Make"]),
    }

    rehearsed, recorder = run(tmp_path, tasks)

    assert log(tmp_path, "Use").strip() == "['d', 'd/f']"
    assert (rehearsed.path("Make", "model") / "d/f").read_text() == "weights"
    assert list((tmp_path / "cluster/steps").glob("*/*")) == []
    assert recorder.states(COMPLETE) == ["Make", "Use"]


def test_metadata_returns_as_kfp_stores_it_and_without_a_type(tmp_path):
    tasks = {
        "Make": task("report(count=3, blessed=True, names=['a'], text='t')", makes=["model"]),
        "Use": task("print(json.dumps(fact['inputs']['artifacts']['Make']['artifacts'][0]))", needs=["Make"]),
    }

    run(tmp_path, tasks)

    artifact = json.loads(log(tmp_path, "Use"))
    assert "type" not in artifact
    assert artifact["metadata"] == {
        "display_name": "model",
        "count": 3.0,
        "blessed": 1.0,
        "names": {"list": ["a"]},
        "text": "t",
    }
    assert isinstance(artifact["metadata"]["count"], float) and isinstance(artifact["metadata"]["blessed"], float)


def test_an_output_with_the_log_is_added(tmp_path):
    rehearsed, _ = run(tmp_path, {"Talk": task("print(fact['outputs']['artifacts']['executor-logs'])")})

    assert "system.Artifact" in log(tmp_path, "Talk")
    assert rehearsed.path("Talk", "executor-logs").read_text() == log(tmp_path, "Talk")


def test_parameters_have_defaults_and_integers_become_floats(tmp_path):
    number, text = {"parameterType": "NUMBER_INTEGER"}, {"parameterType": "STRING"}
    show = "print(json.dumps([sys.argv[2:], sorted(fact['inputs']['parameterValues'].items())]))"
    placeholders = ["{{$.inputs.parameters['epochs']}}", "{{$.inputs.parameters['data']}}"]
    tasks = {"Use": task(show, *placeholders, epochs=number, data=text)}
    defaults = {"epochs": {**number, "defaultValue": 12}, "data": {**text, "defaultValue": "shapes"}}
    file = write(tmp_path / "p.yaml", tasks, defaults)

    rehearse(file, {"epochs": 3}, tmp_path / "cluster", Recorder().show)

    assert json.loads(log(tmp_path, "Use")) == [["3", "shapes"], [["data", "shapes"], ["epochs", 3.0]]]
    assert "3.0" in log(tmp_path, "Use")


def given(key, task, component, output="size", kind="NUMBER_DOUBLE", condition=None):
    """Makes a parameter of a task, from `task`, the output of Make."""
    task["inputs"]["parameters"][key] = {"taskOutputParameter": {"producerTask": "Make", "outputParameterKey": output}}
    component["inputDefinitions"]["parameters"][key] = {"parameterType": kind}
    if condition:
        task["triggerPolicy"] = {"condition": condition}


def make_outputs(code, **kinds):
    step = task(code)
    step[1]["outputDefinitions"]["parameters"] = {name: {"parameterType": kind} for name, kind in kinds.items()}
    return step


REPORT = "Path(fact['outputs']['outputFile']).write_text(json.dumps({'parameterValues': {'done': False}}));"
WRITE = "Path(fact['outputs']['parameters']['text']['outputFile']).write_text('two words')"


def test_a_parameter_of_one_task_reaches_the_next_and_decides_whether_it_runs(tmp_path):
    tasks = {"Make": make_outputs(REPORT + WRITE, done="BOOLEAN", text="STRING")}
    for name, value in (("Done", "true"), ("Undone", "false")):
        tasks[name] = task("print(sys.argv[2:])", "{{$.inputs.parameters['words']}}")
        given("words", *tasks[name][:2], "text", "STRING")
        given("done", *tasks[name][:2], "done", "BOOLEAN", f"inputs.parameter_values['done'] == {value}")
    tasks["After"] = task("", after=["Done"])

    rehearsed, recorder = run(tmp_path, tasks)

    assert log(tmp_path, "Undone") == "['two words']\n"
    assert (recorder.states(COMPLETE), recorder.states(SKIPPED)) == (["Make", "Undone"], ["Done", "After"])
    assert rehearsed.value("Make", "done") is False and rehearsed.outputs.keys() == {"Make", "Undone"}


def test_a_parameter_without_a_value_fails_its_step_as_the_launcher_does(tmp_path):
    with pytest.raises(UserError, match=r"step Make failed after its command: .*no value .*output parameter done"):
        run(tmp_path, {"Make": make_outputs("", done="BOOLEAN")})


def test_a_condition_that_a_rehearsal_cannot_read_is_an_error(tmp_path):
    tasks = {"Make": make_outputs(REPORT, done="BOOLEAN"), "Use": task("")}
    given("done", *tasks["Use"][:2], "done", "BOOLEAN", "inputs.parameter_values['done'] != 'x'")

    with pytest.raises(ConfigError, match=r"task Use: a rehearsal knows no condition but .*, not .* != 'x'"):
        run(tmp_path, tasks)


def test_a_volume_is_mounted_and_outlives_the_run(tmp_path):
    count = "v = Path('mnt/v/count'); v.write_text((v.read_text() if v.exists() else '') + '+')"
    file = write(tmp_path / "p.yaml", {"Count": task(count)})
    settings = {"Count_executor": {"pvcMount": [{"constant": "claim", "mountPath": "/mnt/v"}]}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": settings}}}}
    file.write_text(file.read_text() + "---\n" + yaml.safe_dump(platform))

    for _ in range(2):
        rehearse(file, {}, tmp_path / "cluster", Recorder().show)

    assert (tmp_path / "cluster/volumes/claim/count").read_text() == "++"


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("report(nothing=None)", "the metadata nothing is null, which KFP's launcher rejects"),
        (
            "Path(fact['outputs']['outputFile']).write_text('{\"artefacts\": {}}')",
            "rejects what the step reports .*artefacts",
        ),
    ],
)
def test_output_that_the_launcher_rejects_fails_the_step(tmp_path, code, problem):
    with pytest.raises(UserError, match=f"step Make failed after its command: .*{problem}"):
        run(tmp_path, {"Make": task(code, makes=["model"])})


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        ("print('shiftvit: no such file', file=sys.stderr); print('chatter'); sys.exit(3)", DataError, "no such file"),
        ("raise ImportError('no module so')", UserError, "ImportError: no module so"),
        ("print('the last line'); sys.exit(7)", UserError, "the last line"),
        ("sys.exit(7)", UserError, "exit status 7, with an empty log"),
        (
            "import os; print('words', flush=True); os.kill(os.getpid(), 9)",
            UserError,
            "killed by " + describe_signal(-9),
        ),
    ],
)
def test_a_failed_step_is_reported_with_its_reason_and_log(tmp_path, code, error, reason):
    file = write(tmp_path / "p.yaml", {"Bad": task(code), "After": task("", after=["Bad"])})
    recorder = Recorder()

    with pytest.raises(UserError) as failure:
        rehearse(file, {}, tmp_path / "cluster", recorder.show)

    (path,) = (tmp_path / "cluster/logs").glob("*/Bad.log")
    assert str(failure.value) == f"step Bad failed: {reason} (log: {path})"
    assert type(failure.value) is error
    assert recorder.states(RUNNING) == recorder.states(FAILED) == ["Bad"]


def test_two_steps_run_at_once_and_a_failure_terminates_the_other(tmp_path, monkeypatch):
    meet = """
other, mine = Path(sys.argv[2]), Path(sys.argv[3])
mine.touch()
while not other.exists():
    time.sleep(0.05)
"""
    here, there, terminated = (str(tmp_path / name) for name in ("here", "there", "terminated"))
    mark = f"signal.signal(signal.SIGTERM, lambda *_: sys.exit(Path({terminated!r}).touch()))\n"
    tasks = {
        "Slow": task(mark + meet + "signal.pause()", here, there),
        "Bad": task(meet + "sys.exit(7)", there, here),
        "Third": task(""),
    }
    monkeypatch.setattr(rehearsal_cluster, "_GRACE", HANG_SECONDS)
    recorder = Recorder()

    with pytest.raises(UserError, match="step Bad failed"):
        rehearse(write(tmp_path / "p.yaml", tasks), {}, tmp_path / "cluster", recorder.show)

    assert Path(terminated).exists()
    assert recorder.states(RUNNING) == ["Bad", "Slow"]
    assert recorder.states(FAILED) == ["Bad"] and recorder.states(INTERRUPTED) == ["Slow"]
    assert list((tmp_path / "cluster/steps").glob("*/*")) == []


def test_an_unusable_folder_is_an_error(tmp_path):
    (tmp_path / "cluster").touch()

    with pytest.raises(ConfigError, match=f"cannot rehearse in {tmp_path}/cluster: Not a directory"):
        run(tmp_path, {"Make": task("")})


def test_a_file_that_kfp_would_reject_is_not_run(tmp_path):
    tasks = {"Make": task("", makes=["model"]), "Use": task("", needs=["Make"])}
    file = write(tmp_path / "p.yaml", tasks)
    file.write_text(file.read_text().replace("outputArtifactKey: model", "outputArtifactKey: modle"))

    with pytest.raises(ConfigError, match=f"{file}: task Use: input Make comes from Make's output modle"):
        rehearse(file, {}, tmp_path / "cluster", Recorder().show)

    assert not Path(tmp_path / "cluster").exists()
