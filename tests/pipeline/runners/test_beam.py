import socket
import sys

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from ports import free_ports

from pipeline.cli.main import make_parser
from pipeline.cli.options import resolve
from pipeline.config.beam import BeamConfig
from pipeline.config.config_file import load, save
from pipeline.config.overrides import override
from pipeline.config.presets import quickstart
from pipeline.runners import beam
from pipeline.runners.beam import arguments
from shiftvit.errors import ConfigError

GOOGLE = ("--project=my-project", "--region=europe-west1", "--temp_location=gs://bucket/temp")
SETUP = f"--setup_file={beam._SETUP}"


def configure(*options):
    return resolve(make_parser().parse_args(["run", *options])).beam


@pytest.mark.parametrize(
    "settings, flags",
    [
        ({}, ["--runner=FnApiRunner", "--sdk_container_image=unused"]),
        (
            {"runner": "flink", "address": "master:8081", "options": ("--parallelism=4",)},
            ["--runner=pipeline.runners.portable.FlinkRunner", "--flink_master=master:8081", SETUP, "--parallelism=4"],
        ),
        (
            {"runner": "flink", "address": "http://master:8081", "image": "registry/shiftvit:1"},
            [
                "--runner=pipeline.runners.portable.FlinkRunner",
                "--flink_master=http://master:8081",
                "--environment_type=DOCKER",
                "--environment_config=registry/shiftvit:1",
                "--sdk_container_image=registry/shiftvit:1",
            ],
        ),
        (
            {"runner": "spark", "address": "master:8099"},
            ["--runner=pipeline.runners.portable.PortableRunner", "--job_endpoint=master:8099", SETUP],
        ),
        (
            {"runner": "dataflow", "options": GOOGLE, "image": "registry/shiftvit:1"},
            ["--runner=DataflowRunner", "--sdk_container_image=registry/shiftvit:1", *GOOGLE],
        ),
    ],
    ids=lambda value: value.get("runner", "local") if isinstance(value, dict) else "",
)
def test_flags_of_each_engine_are_known_to_beam(settings, flags):
    found = arguments(BeamConfig(**settings))

    assert found == flags
    known = PipelineOptions(found).get_all_options(drop_default=True)
    names = {flag.removeprefix("--").partition("=")[0] for flag in flags}
    assert names <= set(known), "Beam ignores unknown flags, with just a warning"


def test_workers_of_a_portable_runner_start_the_image():
    from apache_beam.options.pipeline_options import PortableOptions
    from apache_beam.transforms.environments import DockerEnvironment

    flags = arguments(BeamConfig(runner="spark", address="master:8099", image="registry/shiftvit:1"))

    options = PipelineOptions(flags).view_as(PortableOptions)
    assert DockerEnvironment.from_options(options).container_image == "registry/shiftvit:1"


@pytest.mark.parametrize(
    "settings, sentence",
    [
        (["beam.runner=prism"], "beam.runner='prism' is not one of local, dask, flink, spark, dataflow"),
        (["beam.runner=flink"], "beam.runner=flink needs beam.address: the REST address of a Flink master"),
        (["beam.runner=spark"], "beam.runner=spark needs beam.address: the endpoint of Beam's Spark job server"),
        (["beam.runner=dataflow"], "needs --project, --region, --temp_location in beam.options"),
        (
            ["beam.runner=dataflow", "beam.options=--project=p,--temp_location=gs://b"],
            "beam.runner=dataflow needs --region in beam.options",
        ),
        (["beam.address=tcp://a:1"], "beam.address=tcp://a:1 is for dask, flink, spark; beam.runner=local takes none"),
        (["beam.runner=dask", "beam.address=a:1"], "beam.address=a:1 is not the address of a Dask scheduler, such as"),
        (["beam.runner=flink", "beam.address=master"], "beam.address=master is not the REST address of a Flink"),
        (["beam.runner=spark", "beam.address=spark://a:1"], "beam.address=spark://a:1 is not the endpoint of Beam's"),
        (["beam.runner=dask", "beam.workers=-1"], "beam.workers=-1 must be from 0 to 10,000"),
        (["beam.workers=2"], "beam.workers=2 is the number of workers that Dask starts on this host"),
        (["beam.runner=dask", "beam.address=tcp://a:1", "beam.workers=2"], "beam.workers=2 .* without beam.address"),
        (["beam.runner=dask", "beam.image=i"], "beam.image=i is for flink, spark, dataflow"),
        (["beam.options=region=x"], "beam.options: 'region=x' is not a Beam flag, --NAME or --NAME=VALUE"),
        (["beam.options=--runner=x"], "beam.options: set beam.runner instead of --runner"),
    ],
)
def test_conflicting_settings_raise_and_name_the_key(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        override(quickstart(), settings)


def test_beam_option_sets_the_runner_and_is_saved_with_the_config(tmp_path):
    assert configure() == BeamConfig()
    assert configure("--beam", "flink", "--set", "beam.address=a:1") == BeamConfig(runner="flink", address="a:1")
    with pytest.raises(ConfigError, match=r"beam\.runner=flink needs beam\.address"):
        configure("--beam", "flink")

    config = override(quickstart(), ["beam.runner=dataflow", f"beam.options={','.join(GOOGLE)}"])
    save(config, tmp_path / "config.json")
    assert load(tmp_path / "config.json").beam == BeamConfig(runner="dataflow", options=GOOGLE)


def test_missing_dask_raises_with_the_way_out(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "distributed"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(
        ConfigError, match=r"beam.runner=dask: Dask is not installed; install it with `pip install .*\[dask\]`"
    ):
        arguments(BeamConfig(runner="dask"))


def test_remote_workers_need_a_setup_file_or_an_image(monkeypatch, tmp_path):
    monkeypatch.setattr(beam, "_SETUP", tmp_path / "setup.py")
    spark = {"runner": "spark", "address": "a:1"}

    with pytest.raises(ConfigError, match=f"{tmp_path}/setup.py does not exist: run from a checkout, or set beam.im"):
        arguments(BeamConfig(**spark))
    assert arguments(BeamConfig(**spark, image="i"))[-1] == "--sdk_container_image=i"
    assert arguments(BeamConfig())[0] == "--runner=FnApiRunner"


def test_address_where_nothing_listens_is_refused_in_seconds():
    [port] = free_ports(1)
    for settings in (
        {"runner": "spark", "address": f"127.0.0.1:{port}"},
        {"runner": "flink", "address": f"http://127.0.0.1:{port}"},
        {"runner": "dask", "address": f"tcp://127.0.0.1:{port}"},
    ):
        with pytest.raises(ConfigError, match=rf"beam.address={settings['address']}: nothing answers there \("):
            beam.check_engine(BeamConfig(**settings))
    with socket.create_server(("127.0.0.1", port)):
        beam.check_engine(BeamConfig(runner="spark", address=f"127.0.0.1:{port}"))
    beam.check_engine(BeamConfig())
