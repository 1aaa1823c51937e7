"""Ingestion, statistics and evaluation on a Dask cluster of two workers, compared with the local runner."""

import json
import os
import signal
import subprocess
import sys
import tempfile

import apache_beam as beam
import executions
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import toy_models
from judging import evaluate
from known_data import CLASS_NAMES, NUM_CLASSES
from tfx.components.statistics_gen.executor import Executor as StatisticsGen
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import artifact_utils, standard_artifacts
from waiting import wait_until

from components.evaluator.results import read_metrics
from components.example_gen import records
from components.example_gen.component import ImageExampleGen
from components.example_gen.source_identity import SourceIdentity
from pipeline.config.beam import BeamConfig
from pipeline.runners.beam import arguments
from shiftvit.errors import UserError

distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")

dask_runner = pytest.importorskip("pipeline.runners.dask")

pytestmark = pytest.mark.slow

COUNTS = {"train": 300, "eval": 100, "test": 100}


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    for split, count in COUNTS.items():
        labels = np.arange(count) % 10
        images = np.stack([toy_models.picture(label) for label in labels])
        images[:, 1:] = np.random.default_rng(0).integers(0, 256, images[:, 1:].shape)
        (folder / f"{split}.bin").write_bytes(records.pack(images, labels))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    toy_models.save(toy_models.FirstPixel(wrong_below=2), folder)
    return executions.artifact(standard_artifacts.Model, folder)


def context(flags, folder):
    return BaseBeamExecutor.Context(beam_pipeline_args=list(flags), tmp_dir=str(folder / "tmp"), unique_id="1")


def ingest(flags, source, folder, counts=COUNTS):
    examples = executions.examples(folder / "examples")
    identity = SourceIdentity("folder", "0", False, counts, CLASS_NAMES, 32)
    ImageExampleGen.EXECUTOR_SPEC.executor_class(context(flags, folder)).Do(
        {},
        {"examples": [examples]},
        {
            "input_base": str(source),
            "image_folder": "",
            "identity": identity.to_json(),
            "images_per_shard": 30,
            "max_bad_images": 0,
        },
    )
    return examples


def run(flags, source, model, folder):
    """Returns the records of each split, the statistics of each split and the metrics."""
    examples = ingest(flags, source, folder)
    statistics = executions.artifact(standard_artifacts.ExampleStatistics, folder / "statistics")
    StatisticsGen(context(flags, folder)).Do({"examples": [examples]}, {"statistics": [statistics]}, {})
    evaluation, _ = evaluate(folder, examples, model, COUNTS["test"], flags=flags)
    return {
        "records": {split: sorted(read_records(examples, split)) for split in COUNTS},
        "statistics": {split: read_statistics(statistics, split) for split in COUNTS},
        "metrics": read_metrics(evaluation.uri, NUM_CLASSES),
    }


def read_records(examples, split):
    files = tf.io.gfile.glob(artifact_utils.get_split_uri([examples], split) + "/*")
    return list(tf.data.TFRecordDataset(files).as_numpy_iterator())


def read_statistics(statistics, split):
    """Returns the number of examples, and the count, minimum, maximum and mean of the labels."""
    folder = artifact_utils.get_split_uri([statistics], split)
    found = tfdv.load_stats_binary(f"{folder}/FeatureStats.pb").datasets[0]
    labels = next(feature.num_stats for feature in found.features if list(feature.path.step) == ["label"])
    return found.num_examples, labels.common_stats.num_non_missing, labels.min, labels.max, labels.mean


@pytest.fixture(scope="module")
def flags(cluster):
    return arguments(BeamConfig(runner="dask", address=cluster.scheduler_address))


def test_cluster_of_two_workers_equals_the_local_runner(flags, source, model, tmp_path):
    local = run(arguments(BeamConfig()), source, model, tmp_path / "local")
    dask = run(flags, source, model, tmp_path / "dask")

    assert {split: len(found) for split, found in dask["records"].items()} == COUNTS
    assert dask["records"] == local["records"]
    for split, count in COUNTS.items():
        assert dask["statistics"][split] == pytest.approx(local["statistics"][split], abs=1e-6)
        assert dask["statistics"][split][0] == count
    assert (dask["metrics"]["examples"], dask["metrics"]["top1"]) == (COUNTS["test"], pytest.approx(0.8, abs=1e-6))
    scores = ("class_recall", "class_precision", "class_f1")
    for name in ("confusion", "corrupted_top1", *scores):  # corrupted copies do not depend on the worker
        assert dask["metrics"].pop(name) == local["metrics"].pop(name)
    for name in ("class_top1", "top1_interval"):
        assert dask["metrics"].pop(name) == pytest.approx(local["metrics"].pop(name), abs=1e-6)
    assert dask["metrics"] == pytest.approx(local["metrics"], abs=1e-6)


def mark(number, folder):
    """Writes a file named after the process."""
    (folder / str(os.getpid())).touch()
    return number


def test_every_worker_and_every_branch_runs(flags, cluster, tmp_path):
    folders = [tmp_path / name for name in ("first", "second")]
    with beam.Pipeline(argv=flags) as pipeline:
        numbers = pipeline | beam.Create(range(100)) | beam.Reshuffle()
        for folder in folders:
            folder.mkdir()
            _ = numbers | folder.name >> beam.Map(mark, folder)

    with distributed.Client(cluster) as client:
        workers = {str(pid) for pid in client.run(os.getpid).values()}
    assert len(workers) == 2
    assert [{file.name for file in folder.iterdir()} for folder in folders] == [workers, workers]


def test_without_address_local_workers_are_started_and_stopped_and_leave_no_folder(tmp_path, monkeypatch):
    marks, scratch = tmp_path / "marks", tmp_path / "scratch"
    marks.mkdir()
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with beam.Pipeline(argv=arguments(BeamConfig(runner="dask", workers=1))) as pipeline:
        _ = pipeline | beam.Create(range(10)) | beam.Map(mark, marks)

    (worker,) = [int(file.name) for file in marks.iterdir()]
    assert not [path.name for path in scratch.iterdir() if "dask" in path.name]
    assert worker != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_truncated_source_leaves_no_split(flags, source, tmp_path):
    with pytest.raises(Exception, match=r"test\.bin: 10 records from byte 276570, expected 11"):
        ingest(flags, source, tmp_path, COUNTS | {"test": 101})
    assert not [path for path in (tmp_path / "examples").rglob("*") if path.is_file()]


def test_address_without_scheduler_raises(monkeypatch):
    monkeypatch.setattr(dask_runner, "_CONNECT_SECONDS", 5)
    with (
        pytest.raises(UserError, match=r"beam.address=tcp://127\.0\.0\.1:9: no Dask scheduler answers; start one"),
        beam.Pipeline(argv=arguments(BeamConfig(runner="dask", address="tcp://127.0.0.1:9"))) as pipeline,
    ):
        _ = pipeline | beam.Create([1])


def test_scheduler_without_workers_raises(monkeypatch):
    monkeypatch.setattr(dask_runner, "_CONNECT_SECONDS", 5)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(UserError, match=f"beam.address={empty.scheduler_address}: the Dask scheduler has no workers"),
        beam.Pipeline(argv=arguments(BeamConfig(runner="dask", address=empty.scheduler_address))) as pipeline,
    ):
        _ = pipeline | beam.Create([1])


@pytest.fixture
def cluster_without_project(tmp_path):
    """The address of a scheduler and a worker that cannot import this project."""
    preload, file = tmp_path / "without.py", tmp_path / "scheduler.json"
    preload.write_text("import sys\n\nsys.modules['pipeline'] = None\n")
    common = ["--preload", str(preload), "--no-dashboard", "--scheduler-file", str(file)]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen([*command, *common]) as scheduler:
        wait_until(file.exists, scheduler)
        with subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_worker", *common]) as worker:
            yield json.loads(file.read_text())["address"]
            worker.terminate()
        scheduler.terminate()


def test_cluster_without_this_project_raises(cluster_without_project):
    with (
        pytest.raises(UserError, match=r"cannot work \(.*\); this project must be installed on Dask's"),
        beam.Pipeline(argv=arguments(BeamConfig(runner="dask", address=cluster_without_project))) as pipeline,
    ):
        _ = pipeline | beam.Create([1])


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_worker_ends_the_pipeline(flags):
    with (
        pytest.raises(UserError, match=r"the Dask worker tcp://127\.0\.0\.1:\d+ was lost"),
        beam.Pipeline(argv=flags) as pipeline,
    ):
        _ = pipeline | beam.Create([1]) | beam.Map(die)
