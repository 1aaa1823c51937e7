"""Sources and workspaces in folders of any name."""

import apache_beam as beam
import pytest
from cifar_files import SPLITS as CIFAR_SPLITS
from cifar_files import make_archive, make_binary, prepare, splits
from executions import artifact
from image_folders import write_classes
from odd_names import NAMES, NESTED, REFUSED
from tfx.types import standard_artifacts

from components.data_gate.quality import read_split
from components.example_gen.component import ImageExampleGen
from pipeline.cli.main import main
from pipeline.config.beam import BeamConfig
from pipeline.config.settings import PipelineConfig
from pipeline.config.source import absolute
from shiftvit import features
from shiftvit.dataset import read_dataset
from shiftvit.errors import ConfigError


def ingest(source, output):
    """Ingests a prepared source; returns the number of images that the data gate reads."""
    ImageExampleGen.test_call(
        examples=artifact(standard_artifacts.Examples, output),
        input_base=str(source.folder),
        image_folder=str(source.image_folder),
        identity=source.identity.to_json(),
        images_per_shard=8,
        max_bad_images=0,
        beam_pipeline=beam.Pipeline(argv=["--runner=FnApiRunner"]),
    )
    folders = {split: features.split_folder(output, split) for split in features.SPLITS}
    return sum(len(read_split(folder, split, read_dataset(output)).labels) for split, folder in folders.items())


@pytest.mark.parametrize("name", NESTED)
def test_every_form_of_a_source_is_read(name, tmp_path):
    folder = tmp_path / name
    photos = write_classes(folder / "photos", ("a [1]", "b*"), count=8)
    rows = (f'"{path.relative_to(folder)}",{path.parent.name}' for path in photos.rglob("*.png"))
    (folder / "labels.csv").write_text("path,label\n" + "\n".join(rows), encoding="utf-8")
    archive = make_archive(make_binary(folder))

    for source in (photos, f"folder:{photos}", folder / "labels.csv", f"csv:{folder}/labels.csv"):
        assert sum(prepare(source, folder).identity.counts.values()) == 16
    for source in (folder, archive):
        assert splits(prepare(source, folder)) == CIFAR_SPLITS


def test_every_form_of_a_source_is_ingested(tmp_path):
    folder = tmp_path / NAMES[-1] / "[2024]*{a,b}\\?"
    photos = write_classes(folder / "[photos]*", ("a [1]", "b*"), count=8)
    archive = make_archive(make_binary(folder))

    assert ingest(prepare(photos, folder), folder / "[examples] 1") == 16
    assert ingest(prepare(archive, folder), folder / "[examples] 2") == 72


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("setting", ["workspace", "source"])
def test_characters_that_cannot_work_are_refused_by_the_configuration(setting, name, tmp_path):
    with pytest.raises(ConfigError, match=f"^{setting}: the character .* cannot be used; rename the folder"):
        PipelineConfig(**{setting: str(tmp_path / name / "x")}).check_paths()


@pytest.mark.parametrize(
    "beam_settings", [{"runner": "dask", "address": "tcp://10.0.0.1:8786"}, {"runner": "dataflow"}]
)
def test_patterns_are_refused_if_workers_are_elsewhere(beam_settings, tmp_path):
    options = ("--project=p", "--region=r", "--temp_location=gs://t") if beam_settings["runner"] == "dataflow" else ()
    elsewhere = BeamConfig(**beam_settings, options=options)
    PipelineConfig(workspace=str(tmp_path), beam=elsewhere).check_paths()
    PipelineConfig(workspace=str(tmp_path / "[x]"), beam=BeamConfig("dask")).check_paths()
    with pytest.raises(ConfigError, match=r"workspace: the character '\[' in .* is part of a pattern"):
        PipelineConfig(workspace=str(tmp_path / "[x]"), beam=elsewhere).check_paths()


def test_the_home_of_an_unknown_user_is_a_name_like_any_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("~nobody-knows/x") == tmp_path / "~nobody-knows" / "x"


@pytest.mark.parametrize("option", ["--data", "--workspace"])
@pytest.mark.parametrize("name", ["x" * 256, "\u732b" * 86, "x/" * 2000, "a\nb", "a\udce9b"])
def test_the_command_refuses_names_that_cannot_work(name, option, capsys):
    assert main(["run", option, name]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"shiftvit: {option.removeprefix('--').replace('data', 'source')}: " in line and len(line) < 300


def test_a_folder_whose_own_path_cannot_work_is_refused_by_every_command(tmp_path, monkeypatch, capsys):
    (tmp_path / "a\nb").mkdir()
    monkeypatch.chdir(tmp_path / "a\nb")
    train = ["train", "--records=a", "--model=b", "--state=c"]
    for arguments in (
        ["run"],
        ["data"],
        ["tune"],
        ["runs"],
        ["show"],
        ["versions"],
        ["predict", "x.png"],
        ["serve"],
        train,
    ):
        assert main(arguments) == 2, arguments
        assert r"the character '\n' in" in capsys.readouterr().err
