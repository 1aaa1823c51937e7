"""Configurations, wrong usage and help texts of the command line."""

import argparse
import dataclasses
import json
import re
import shlex
import subprocess
import sys

import pytest
from refusal import refusal

from pipeline.cli import main as cli
from pipeline.cli.main import main, make_parser
from pipeline.cli.options import resolve
from pipeline.config import config_file
from pipeline.config.presets import preset, quickstart
from shiftvit.errors import ConfigError


def resolve_run(*options):
    return resolve(make_parser().parse_args(["run", *options]))


def test_settings_override_options_and_options_override_the_preset():
    assert resolve_run() == quickstart()
    assert resolve_run("--preset", "cifar10-cpu", "--data", "a.tar.gz", "--workspace", "w").source == "a.tar.gz"
    config = resolve_run("--data", "a", "--set", "source=b", "--set", "train.epochs=3")
    assert (config.source, config.train.epochs) == ("b", 3)


def test_configuration_file_repeats_a_run(tmp_path):
    first = resolve_run("--preset", "cifar10-cpu", "--set", "train.epochs=3")
    config_file.save(first, tmp_path / "config.json")
    assert resolve_run("--config", str(tmp_path / "config.json")) == first
    assert resolve_run("--config", str(tmp_path / "config.json"), "--data", "shapes").source == "shapes"


@pytest.mark.parametrize(
    ("options", "content"),
    [
        (["--preset", "cifar10-cpu"], {}),
        (["--set", "preset=cifar10-cpu"], {}),
        ([], {"preset": "cifar10-cpu"}),
        (["--preset", "cifar10-cpu"], {"preset": "cifar10-cpu"}),
    ],
)
def test_a_preset_is_all_of_its_settings_wherever_it_is_named(tmp_path, options, content):
    file = tmp_path / "part.json"
    file.write_text(json.dumps({**content, "train": {"epochs": 7}, "model": {"dropout": 0.1}}))

    config = resolve_run("--config", str(file), *options, "--set", "model.dropout=0.2")

    expected = preset("cifar10-cpu")
    assert config == dataclasses.replace(
        expected,
        train=dataclasses.replace(expected.train, epochs=7),
        model=dataclasses.replace(expected.model, dropout=0.2),
    )


def test_a_file_without_a_preset_has_the_one_for_its_data(tmp_path):
    file = tmp_path / "part.json"
    file.write_text('{"source": "folder:/pictures"}')

    assert resolve_run("--config", str(file)) == resolve_run("--data", "folder:/pictures")
    assert resolve_run("--set", "source=folder:/pictures") == resolve_run("--data", "folder:/pictures")


def test_two_different_presets_are_refused(tmp_path):
    file = tmp_path / "part.json"
    file.write_text('{"preset": "cifar10"}')

    named = rf"{file} names preset cifar10, --set preset names preset images: only one"
    assert re.search(named, refusal(ConfigError, resolve_run, "--config", str(file), "--set", "preset=images"))
    refusal(ConfigError, resolve_run, "--config", str(file), "--preset", "images")
    refusal(ConfigError, resolve_run, "--preset", "cifar10", "--set", "preset=images")


@pytest.mark.parametrize("content", ['{"preset": 3}', '{"preset": []}', '{"preset": "cifar"}', '{"source": 3}', "[1]"])
def test_a_file_with_an_invalid_preset_or_source_is_refused_with_its_name(tmp_path, content):
    (tmp_path / "part.json").write_text(content)

    assert "part.json: " in refusal(ConfigError, resolve_run, "--config", str(tmp_path / "part.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "cifar"], "unknown preset 'cifar'; did you mean"),
        (["--set", "train.epoch=3"], "unknown key train.epoch; did you mean train.epochs"),
        (["--set", "train.epochs=many"], "train.epochs='many' must be a whole number"),
        (["--set", "train.replicas=3"], "not divisible by 3, the number of devices (train.replicas)"),
        (["--set", "workspace="], "workspace is empty"),
        (["--set", "source= "], "source=' ' names no data"),
        (["--data", "folder:"], "source='folder:' names no data"),
        (["--data", "tfds:"], "source='tfds:' names no data"),
        (["--config", "absent.json"], "absent.json: cannot read the configuration"),
    ],
)
def test_wrong_configuration_is_one_sentence_and_exit_2(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(["run", *options]) == 2
    out, err = capsys.readouterr()
    assert message in err and err.startswith("shiftvit: ") and err.count("\n") == 1 and out == ""
    assert list(tmp_path.iterdir()) == [], "something was written"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "`shiftvit` needs COMMAND (run, tune,"),
        (["rum"], "`shiftvit` has no command 'rum'; did you mean run"),
        (["kubeflow", "rehearsal"], "`shiftvit kubeflow` has no command 'rehearsal'; did you mean rehearse?"),
        (["completion", "csh"], "`shiftvit completion` has no SHELL 'csh'; did you mean zsh"),
        (["run", "--prest", "cifar10"], "`shiftvit run` has no option --prest; did you mean --preset"),
        (["run", "--wor=w"], "`shiftvit run` has no option --wor; did you mean --workspace"),
        (["run", "cifar10"], "`shiftvit run` takes no argument 'cifar10'; see `shiftvit run --help`"),
        (["run", "--preset"], "--preset needs a value; see `shiftvit run --help`"),
        (["predict"], "`shiftvit predict` needs IMAGE; see `shiftvit predict --help`"),
        (["predict", "--version", "new", "a.png"], "--version='new' must be a whole number"),
        (["bench", "--seconds", "many"], "--seconds='many' must be a number"),
        (["rollback", "last"], "N='last' must be a whole number"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(capsys, arguments, message):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"shiftvit: {message}") and err.count("\n") == 1 and out == ""


def command_parsers(parser):
    """Yields the parser of every command without commands of its own."""
    below = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for choices in below:
        for command in choices.values():
            yield from command_parsers(command)
    if not below:
        yield parser


def options_with_values():
    """Yields the words of a command and one of its options that take a value, for every command and option."""
    for parser in command_parsers(make_parser()):
        for action in parser._actions:
            if action.option_strings and action.nargs != 0:
                yield [*parser.prog.split()[1:], action.option_strings[-1]]


@pytest.mark.parametrize("words", options_with_values(), ids=" ".join)
def test_an_empty_value_is_refused_by_every_command_and_option(capsys, words):
    for given in ([*words, ""], [*words, " "], [*words[:-1], f"{words[-1]}="]):
        assert main(given) == 2
        assert capsys.readouterr().err.startswith(f"shiftvit: {words[-1]} is empty, as from a shell variable")


@pytest.mark.parametrize("words", (["predict", ""], ["show", "\t"], ["kubeflow", "submit", ""]), ids=str)
def test_an_empty_argument_is_refused(capsys, words):
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("shiftvit: an argument is empty")


def examples_of(parser):
    """Returns the example commands in a parser's help as words, without comments and shell syntax."""
    text = re.sub(r"\\\n\s+", "", parser.epilog.partition("examples:\n")[2])
    lines = [line.strip().removeprefix("source <(") for line in text.splitlines() if not line.startswith("   ")]
    commands = [re.split(r" {3,}| > |\)", line)[0] for line in lines if line and not line.startswith("TF_CONFIG")]
    return [shlex.split(command) for command in commands]


@pytest.mark.parametrize("parser", command_parsers(make_parser()), ids=lambda parser: parser.prog)
def test_help_has_valid_examples_and_true_defaults(parser):
    examples = examples_of(parser)
    assert examples and all(" ".join(words).startswith(parser.prog) for words in examples)
    for words in examples:
        arguments = make_parser().parse_args(words[1:])
        if hasattr(arguments, "preset") and hasattr(arguments, "config") and arguments.config is None:
            resolve(arguments)
    for action in parser._actions:
        if action.option_strings and action.default not in (None, False, [], "", argparse.SUPPRESS):
            default = f"{action.default:g}" if isinstance(action.default, float) else str(action.default)
            assert f"default: {default})" in action.help % (vars(action) | {"prog": parser.prog})


def test_help_has_the_defaults_of_preset_and_workspace(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"(default: {resolve_run().preset})" in text and f"(default: {resolve_run().workspace})" in text


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["tune", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    heavy = ("tensorflow", "tfx", "apache_beam", "ml_metadata", "rich", "PIL")
    code = (
        f"import sys\nfrom pipeline.cli import main as cli\ntry:\n cli.main({arguments})\nexcept SystemExit as end:\n"
        f" assert not end.code\nloaded = [m for m in {heavy} if m in sys.modules]\nassert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_reader_of_a_pipe_that_closes_early_is_no_error(tmp_path):
    for number in range(700):
        (tmp_path / "runs" / f"20261123-{number:06}").mkdir(parents=True)
    command = f"{sys.executable} -m pipeline.cli.main runs --json --workspace {tmp_path} | head -1"
    ended = subprocess.run(command, shell=True, capture_output=True, check=True, cwd=cli.__file__.rsplit("/", 3)[0])
    assert (ended.stdout, ended.stderr) == (b"[\n", b"")
