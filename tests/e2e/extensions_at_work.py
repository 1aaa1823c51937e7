"""Uses every extension of docs/extending.md; test_extending.py runs it in a copy of the project that has them."""

import json
import runpy
from pathlib import Path

import apache_beam as beam
import documents
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tfx import v1 as tfx

from components.example_gen.executor import WriteShards, plan, split_folder, verify
from components.trainer.training import train_and_export
from components.weigh import Weigh
from pipeline.cli.main import main, make_parser
from pipeline.cli.options import resolve
from pipeline.config.locations import locate
from pipeline.config.overrides import override
from pipeline.config.presets import preset
from pipeline.graph.dag import create_pipeline
from pipeline.runners.beam import arguments
from pipeline.runners.local.runner import local_site
from pipeline.sources.prepare import prepare
from shiftvit.features import SPLITS
from tuner import space

CLASSES = [f"kind {number}" for number in range(10)]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A configuration with every extension, and two pictures of each class in each split."""
    folder = tmp_path_factory.mktemp("extended")
    for number, (split, name) in enumerate((split, name) for split in SPLITS for name in CLASSES):
        place = folder / "pictures" / split / name
        place.mkdir(parents=True)
        for shade in (0, 100):
            Image.fromarray(np.full((40, 50, 3), shade + number, np.uint8)).save(place / f"{shade}.png")
    settings = [f"source=pictures:{folder}/pictures", f"workspace={folder}/w", "model.network=plain", "model.dims=8,16"]
    return override(preset("quickstart"), [*settings, "train.epochs=1", "train.batch_size=10", "beam.runner=bundles"])


@pytest.fixture(scope="module")
def records(config):
    """The folder of ingested records, written by the other engine."""
    source, folder = prepare(config), Path(config.workspace) / "records"
    for place in (*(split_folder(str(folder), split) for split in SPLITS), folder / "unfinished"):
        Path(place).mkdir(parents=True)
    with beam.Pipeline(argv=arguments(config.beam)) as pipeline:
        assert "BundleBasedDirectRunner" in type(pipeline.runner).__name__
        _ = pipeline | beam.Create(plan(source.counts, str(source.folder), str(folder), 7)) | WriteShards()
    verify(dict.fromkeys(SPLITS, 20), str(folder))
    return folder


@pytest.fixture(scope="module")
def model(config, records):
    """The folder of a trained and exported model."""
    folder = Path(config.workspace) / "model"
    files = ([f"{records}/Split-{split}/data*"] for split in ("train", "eval"))
    train_and_export(
        config.experiment,
        *files,
        class_names=CLASSES,
        resume_dir=str(folder.with_name("state")),
        model_dir=str(folder),
        callbacks=[],
    )
    return folder


def test_the_source_is_checked_by_the_command_and_keeps_its_path_from_everywhere(config, capsys):
    assert main(["data", "--data", config.source, "--workspace", config.workspace, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["counts"], told["class_names"]) == ("pictures", dict.fromkeys(SPLITS, 20), CLASSES)
    assert locate(override(config, ["source=pictures:here"])).source == f"pictures:{Path('here').absolute()}"


@pytest.mark.parametrize("command", documents.commands(Path(__file__).with_name("extending.md")))
def test_every_command_of_the_document_is_parsed_and_its_configuration_holds(command):
    _, words = documents.split(command)
    if words[0] == "shiftvit":
        resolve(make_parser().parse_args(words[1:]))
    else:
        assert words == ["python", "vertex.py"], "which is run below"


def test_the_network_is_trained_and_exported_and_answers(model):
    loaded = tf.saved_model.load(str(model))
    kernels = [shape for _, shape in tf.train.list_variables(f"{model}/variables/variables") if len(shape) > 1]
    assert all(kernel in kernels for kernel in ([3, 3, 3, 8], [3, 3, 8, 16], [16, 10])), "no such network"
    answer = loaded.signatures["serving_default"](image_bytes=tf.stack([tf.io.encode_png(np.zeros((9, 9, 3), "u1"))]))
    assert answer["class_name"].numpy()[0].decode() in CLASSES


def weigh(model, folder, limit):
    importer = tfx.dsl.Importer(str(model), tfx.types.standard_artifacts.Model).with_id("Model")
    node = Weigh(model=importer.outputs["result"], max_megabytes=limit)
    metadata = tfx.orchestration.metadata.sqlite_metadata_connection_config(f"{folder}/metadata.sqlite")
    pipeline = tfx.dsl.Pipeline("p", str(folder), components=[importer, node], metadata_connection_config=metadata)
    tfx.orchestration.LocalDagRunner().run(pipeline)
    return float(next(folder.glob("Weigh/megabytes/*/value")).read_text())


def test_the_component_measures_a_model_and_refuses_a_large_one(model, tmp_path):
    assert 0.01 < weigh(model, tmp_path / "light", 100.0) < 10
    with pytest.raises(Exception, match=r"more than weigh.max_megabytes=0.001"):
        weigh(model, tmp_path / "heavy", 0.001)


def test_the_graph_waits_for_the_component_with_its_setting(config):
    config = override(config, ["weigh.max_megabytes=7"])
    nodes = {node.id: node for node in create_pipeline(config, prepare(config), local_site(config)).components}
    assert nodes["Weigh"] in nodes["Pusher"].upstream_nodes
    assert nodes["Weigh"].exec_properties == {"max_megabytes": 7.0}


def test_the_space_is_one_that_the_preset_can_be_searched_in():
    found = space.make("my_search.space", preset("quickstart").experiment)
    assert found.values["train.learning_rate"] == preset("quickstart").train.learning_rate
    assert space.apply(found.values | {"model.dims": "48,96"}, preset("quickstart").experiment).model.dims == (48, 96)


def test_the_graph_is_compiled_by_the_other_runner(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(Path(__file__).parent / "vertex.py"))
    tasks = json.loads((tmp_path / "vertex.json").read_text())["pipelineSpec"]["root"]["dag"]["tasks"]
    assert {"Cifar10ExampleGen", "Trainer", "Baseline", "Weigh", "Pusher"} <= set(tasks)
