import pytest
from executions import examples

from components.example_gen.executor import IDENTITY, IMAGES_PER_SHARD, INPUT_BASE, Executor
from components.trainer import training
from pipeline.config.settings import PipelineConfig, ShapesConfig
from pipeline.sources import prepare
from shiftvit.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig
from shiftvit.errors import DiskFullError
from shiftvit.files import disk

EXPERIMENT = ExperimentConfig(
    ModelConfig(patch_size=8, dims=(16, 32), depths=(1, 1), n_div=4), DataConfig(), TrainConfig(epochs=1, batch_size=32)
)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A thousand pictures, which take 3.1 MB."""
    pictures = ShapesConfig(train=800, eval=100, test=100)
    return prepare.prepare(
        PipelineConfig(source="shapes", workspace=str(tmp_path_factory.mktemp("source")), shapes=pictures)
    )


@pytest.mark.parametrize("seen", [True, False])
def test_ingestion_leaves_no_shard(small_disk, source, seen, monkeypatch):
    """Also where it was not seen in the beginning that there is no room."""

    def ingest():
        Executor().Do(
            {},
            {"examples": [examples(small_disk.folder / "examples")]},
            {INPUT_BASE: str(source.folder), IDENTITY: source.identity.to_json(), IMAGES_PER_SHARD: 200},
        )

    if not seen:
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
def test_an_export_without_room_is_told_and_the_training_is_not_done_again(small_disk, drawn_examples, tmp_path):
    def make():
        training.train_and_export(
            EXPERIMENT,
            [f"{drawn_examples}/Split-train/*"],
            [f"{drawn_examples}/Split-eval/*"],
            class_names=["a"] * 10,
            resume_dir=str(tmp_path / "resume"),
            model_dir=str(small_disk.folder / "model"),
            callbacks=[],
        )

    def ended():
        return (tmp_path / "resume" / "history.csv").stat().st_mtime_ns

    with small_disk.filled(left=500_000), pytest.raises(DiskFullError, match=small_disk.refusal("the exported model")):
        make()
    before = ended()
    make()

    assert ended() == before and (small_disk.folder / "model" / "saved_model.pb").exists()
