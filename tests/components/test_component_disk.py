import apache_beam as beam
import pytest
from executions import examples

from components.example_gen.component import ImageExampleGen
from components.trainer import training
from pipeline.config.settings import PipelineConfig, ShapesConfig
from pipeline.sources import prepare
from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig
from shiftvit.errors import DiskFullError
from shiftvit.files import disk

EXPERIMENT = ExperimentConfig(
    ModelConfig(image_size=32, num_classes=10, patch_size=8, dims=(16, 32), depths=(1, 1), n_div=4),
    DataConfig(),
    TrainConfig(epochs=1, batch_size=32),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """1,000 images, 3.1 MB."""
    shapes = ShapesConfig(train=800, eval=100, test=100)
    return prepare.prepare(
        PipelineConfig(source="shapes", workspace=str(tmp_path_factory.mktemp("source")), shapes=shapes)
    )


@pytest.mark.parametrize("check_ahead", [True, False])
def test_ingestion_on_a_full_disk_leaves_no_shard(small_disk, source, check_ahead, monkeypatch):
    """Whether the check ahead finds too little room, or the disk fills up later."""

    def ingest():
        ImageExampleGen.test_call(
            examples=examples(small_disk.folder / "examples"),
            input_base=str(source.folder),
            image_folder="",
            identity=source.identity.to_json(),
            images_per_shard=200,
            max_bad_images=0,
            beam_pipeline=beam.Pipeline(runner="FnApiRunner"),
        )

    if not check_ahead:
        monkeypatch.setattr(disk, "_free_bytes", lambda folder: 2**40)
    with (
        small_disk.filled(left=2_000_000),
        pytest.raises(DiskFullError, match=r"3\.1 MB are needed for the ingested"),
    ):
        ingest()

    assert small_disk.files("examples") == []
    ingest()
    assert len([name for name in small_disk.files("examples") if "tfrecord" in name]) == 6


@pytest.mark.slow
def test_export_on_a_full_disk_raises_and_does_not_repeat_the_training(small_disk, drawn_examples, tmp_path):
    def train():
        training.train_and_export(
            EXPERIMENT,
            [f"{drawn_examples}/Split-train/*"],
            [f"{drawn_examples}/Split-eval/*"],
            resume_dir=str(tmp_path / "resume"),
            model_dir=str(small_disk.folder / "model"),
            callbacks=[],
        )

    def end_of_training():
        return (tmp_path / "resume" / "history.csv").stat().st_mtime_ns

    with small_disk.filled(left=500_000), pytest.raises(DiskFullError, match=small_disk.refusal("the exported model")):
        train()
    before = end_of_training()
    train()

    assert end_of_training() == before and (small_disk.folder / "model" / "saved_model.pb").exists()
