"""Records, checkpoints and SavedModels in folders of any name."""

import shutil

import pytest
import tensorflow as tf
from odd_names import NESTED
from toy_models import FirstPixel, picture, save
from trainings import experiment

from pipeline.serving.predict import predict
from shiftvit import export
from shiftvit.dataset import read_dataset
from shiftvit.errors import UserError
from shiftvit.input_pipeline import count_records, first_records
from shiftvit.record_files import RecordFiles
from shiftvit.train import train
from shiftvit.training_record import read_history


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save(FirstPixel(), tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("name", NESTED)
def test_records_and_models_are_read(name, drawn_examples, model, tmp_path, monkeypatch):
    folder = tmp_path / name
    shutil.copytree(drawn_examples, folder / "examples")
    shutil.copytree(model, folder / "model")
    image = folder / "image.png"
    image.write_bytes(tf.io.encode_png(picture(7)).numpy())

    patterns = [f"{folder}/examples/Split-train/*"]
    assert count_records(patterns) == len(RecordFiles(patterns)) == 256
    assert len(first_records(f"{folder}/examples/Split-eval")) == 50
    assert [found.class_id for found in predict(folder / "model" / "Format-Serving", [image])] == [7]
    monkeypatch.chdir(folder)
    assert count_records(["examples/Split-train/*"]) == 256
    assert export.load("model/Format-Serving").signatures


def test_a_training_resumes_and_its_model_is_exported(drawn_examples, tmp_path):
    folder = tmp_path / "proj [2024]{a,b}*?#%\\"
    shutil.copytree(drawn_examples, folder / "[examples]")
    files = [[f"{folder}/[examples]/Split-{split}/*"] for split in ("train", "eval")]
    config = experiment(epochs=2)
    train(config, *files, resume_dir=str(folder / "state"), until_epoch=1)
    resumed = train(config, *files, resume_dir=str(folder / "state"))
    export.export(resumed, config.model, read_dataset(folder / "[examples]"), str(folder / "[model]"))

    assert [row["epoch"] for row in read_history(folder / "state")] == [1, 2]
    assert [path.name for path in (folder / "state" / "state").glob("*.index")] == ["ckpt-2.index"]
    assert export.load(folder / "[model]").signatures


def test_a_message_has_the_real_name(tmp_path):
    folder = tmp_path / "[model]"
    folder.mkdir()
    with pytest.raises(UserError, match=r"\[model\]: not a SavedModel that loads .*does not exist at: /\S*/\[model\]"):
        predict(folder, [])
