"""Lineage of runs of a small real TFX pipeline; the second takes all but the push from the cache."""

import json
from pathlib import Path

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx
from tfx.dsl.compiler.compiler import Compiler
from tfx.dsl.compiler.constants import PIPELINE_RUN_ID_PARAMETER_NAME
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration.portable.runtime_parameter_utils import substitute_runtime_parameter
from tfx.types import standard_artifacts

from components.data_gate.anomalies import read_anomalies
from pipeline.cli import run_page
from pipeline.config import config_file, presets
from pipeline.graph.nodes import PIPELINE_NAME
from pipeline.reports.details import read_details
from pipeline.runs import lineage
from pipeline.runs.lineage import Lineage
from pipeline.runs.workspace import RunFolder, Workspace


@component
def Ingest(examples: OutputArtifact[standard_artifacts.Examples], sha256: Parameter[str]):
    examples.set_string_custom_property("source_sha256", sha256)
    examples.set_string_custom_property("class_names", json.dumps(["cat", "dog"]))


@component
def Search(
    examples: InputArtifact[standard_artifacts.Examples], best: OutputArtifact[standard_artifacts.HyperParameters]
):
    Path(best.uri).mkdir(parents=True, exist_ok=True)
    Path(best.uri, "best_hyperparameters.txt").write_text(json.dumps({"space": [], "values": {"learning_rate": 0.01}}))


@component
def Train(
    examples: InputArtifact[standard_artifacts.Examples],
    best: InputArtifact[standard_artifacts.HyperParameters],
    model: OutputArtifact[standard_artifacts.Model],
    fails: Parameter[int],
):
    if fails:
        raise ValueError("no model today")


@component
def Push(
    model: InputArtifact[standard_artifacts.Model],
    pushed_model: OutputArtifact[standard_artifacts.PushedModel],
    version: Parameter[str],
):
    pushed_model.set_string_custom_property("pushed_version", version)
    pushed_model.set_string_custom_property("pushed_destination", f"serving/{version}")


def run(workspace: Path, run_id: str, version: str, fails: int = 0) -> None:
    ingest = Ingest(sha256="abc123")
    search = Search(examples=ingest.outputs["examples"])
    train = Train(examples=ingest.outputs["examples"], best=search.outputs["best"], fails=fails)
    push = Push(model=train.outputs["model"], version=version)
    pipeline = tfx.dsl.Pipeline(
        PIPELINE_NAME,
        str(workspace / "artifacts"),
        components=[ingest, search, train, push],
        enable_cache=True,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(workspace / "metadata.sqlite")
        ),
    )
    graph = Compiler().compile(pipeline)
    substitute_runtime_parameter(graph, {PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    tfx.orchestration.LocalDagRunner().run_with_ir(graph)


@pytest.fixture(scope="module")
def metadata(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    run(folder, "run-1", "11")
    run(folder, "run-2", "12")
    with pytest.raises(Exception, match="no model today"):
        run(folder, "run-3", "13", fails=1)
    return folder / "metadata.sqlite"


def test_states_of_components(metadata):
    states = {
        run_id: {e.node: e.state for e in Lineage(metadata).executions(run_id)}
        for run_id in ("run-1", "run-2", "run-3")
    }
    assert states == {
        "run-1": {"Ingest": "complete", "Search": "complete", "Train": "complete", "Push": "complete"},
        "run-2": {"Ingest": "cached", "Search": "cached", "Train": "cached", "Push": "complete"},
        "run-3": {"Ingest": "cached", "Search": "cached", "Train": "failed"},
    }


def test_inputs_outputs_and_time(metadata):
    push = Lineage(metadata).executions("run-2")[-1]
    assert [a.type for a in push.inputs["model"]] == ["Model"]
    assert push.outputs["pushed_model"][0].properties["pushed_version"] == "12"
    assert push.run == "run-2" and push.seconds >= 0 and push.started > 1.7e9


def test_walk_leads_from_the_pushed_model_to_the_source(metadata):
    store = Lineage(metadata)
    pushed, maker = store.pushed()["12"]
    steps = list(store.walk(pushed))
    assert maker.run == "run-2"
    assert [(s.artifact.type, s.maker.node, [a.type for a in s.sources]) for s in steps] == [
        ("PushedModel", "Push", ["Model"]),
        ("Model", "Train", ["HyperParameters", "Examples"]),
        ("HyperParameters", "Search", ["Examples"]),
        ("Examples", "Ingest", []),
    ]
    assert {s.maker.run for s in steps[1:]} == {"run-1"}, "a cached execution counts as the maker"
    assert steps[3].artifact.properties["source_sha256"] == "abc123"
    assert steps[2].facts == {"learning_rate": 0.01}


def test_show_has_class_names_and_the_lineage_of_the_pushed_model(metadata, capsys):
    workspace = Workspace(metadata.parent)
    folder = RunFolder(workspace.runs / "run-2")
    folder.path.mkdir(parents=True)
    config_file.save(presets.quickstart(), folder.config)
    folder.result.write_text(
        json.dumps(
            {
                "pushed_version": "12",
                "destination": "serving/12",
                "new": True,
                "metrics": {
                    "top1": 0.75,
                    "top5": 1.0,
                    "loss": 0.5,
                    "ece": None,
                    "examples": 400,
                    "macro_f1": 0.7,
                    "class_top1": [1.0, None],
                    "class_recall": [1.0, None],
                    "class_precision": [0.5, None],
                    "class_f1": [0.667, None],
                    "top1_change": {"estimate": 0.05, "low": -0.01, "high": 0.11, "gained": 9, "lost": 4},
                    "corrupted_top1": {"blur": {"top1": 0.5, "examples": 1200}},
                },
                "latency_ms": {"1": 12.5, "32": 90.0},
            }
        )
    )
    details = read_details(workspace, folder)
    plain = json.loads(json.dumps(details.to_dict()))
    assert plain["class_top1"] == plain["class_recall"] == {"cat": 1.0, "dog": None}
    assert plain["class_precision"] == {"cat": 0.5, "dog": None} and plain["class_f1"] == {"cat": 0.667, "dog": None}
    assert plain["components"]["Train"] == "cached" and plain["config"]["preset"] == "quickstart"
    assert plain["lineage"][-1]["facts"] == {"source_sha256": "abc123"}
    run_page.print_run(details)
    page = capsys.readouterr().out
    for text in (
        "source_sha256 = abc123",
        "learning_rate = 0.01",
        "train.seed=0",
        "Top-1 (recall), precision and F1 per class\n  cat  100.0%     50.0%   66.7%\n  dog  no images\n",
        "macro-F1                    70.0%",
        "top-1 (95% interval)        75.0% (70.5% to 79.0%)",
        "expected calibration error  not a number",
        "no significant difference: +5.0 points (-1.0 to +11.0); 9 images gained, 4 lost",
        "blur  50.0% of 1,200 images",
        "request with 1 image    12.5 ms",
        "none found",
        f"Pushed version 12 to {folder.path.parents[1]}/serving/shiftvit: top-1 75.0%",
        str(folder.config),
    ):
        assert text in page


def test_missing_store_and_unknown_run_read_as_empty(metadata, tmp_path):
    absent = tmp_path / "metadata.sqlite"
    assert Lineage(absent).executions("run-1") == [] and Lineage(absent).pushed() == {}
    assert not absent.exists()
    assert Lineage(metadata).executions("run-9") == []


def test_anomalies_name_split_and_feature(tmp_path):
    found = anomalies_pb2.Anomalies()
    found.anomaly_info["label"].description = "values out of range"
    (tmp_path / "Split-eval").mkdir()
    (tmp_path / "Split-eval" / "SchemaDiff.pb").write_bytes(found.SerializeToString())
    (tmp_path / "Split-train").mkdir()
    (tmp_path / "Split-train" / "SchemaDiff.pb").write_bytes(anomalies_pb2.Anomalies().SerializeToString())
    artifact = lineage.Artifact(1, "ExampleAnomalies", str(tmp_path), {})
    assert read_anomalies(artifact.uri) == ["split eval, feature label: values out of range"]
