"""Runs one step of the compiled pipeline in its container, in place of TFX's own entrypoint.

TFX's entrypoint is made for Vertex AI. KFP's launcher differs: it omits the types of the input artifacts, adds an
output for the log, and copies artifacts from and to the object store itself. This entrypoint converts the launcher's
input to what TFX expects, applies the parameters of the run, has TFX run the executor, and converts its output back.
"""

import argparse
import dataclasses
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format

from components.example_gen.source_identity import class_names, count_property
from components.trainer.config import TrainerConfig
from components.tuner.config import TunerConfig
from pipeline.config.settings import PipelineConfig
from pipeline.graph.fingerprint import graph_fingerprint
from pipeline.runners.kubeflow.pipeline_file import MESSAGE_PREFIX, Json
from pipeline.runners.kubeflow.refused import CONCLUSION, PUSHED
from pipeline.runs.run_result import RunResult
from pipeline.sources.prepare import prepare
from shiftvit import proxies
from shiftvit.config import from_dict, require, to_dict
from shiftvit.errors import UserError
from shiftvit.features import TEST
from shiftvit.files import atomic, paths

# Environment variable: the folder that stands for / in a rehearsal, which has no container.
LOCAL_ROOT = "SHIFTVIT_LOCAL_ROOT"

# Folder of the launcher's local copies, by URI scheme.
_COPIES = {"minio://": "/minio/", "s3://": "/s3/", "gs://": "/gcs/"}
# Inputs that are dropped when their artifact is empty: KFP passes it on, while TFX takes only a missing one as None.
_OPTIONAL_INPUTS = {"baseline_model"}
# Types of artifact that are a single file: what a function component returns as a value. All others are folders.
_VALUE_TYPES = {"tfx.Boolean", "tfx.Bytes", "tfx.Float", "tfx.Integer", "tfx.JsonValue", "tfx.String"}


def local_path(uri: str, root: str) -> str | None:
    """Returns the path of the launcher's copy of `uri` below `root`, or None if it makes no copy."""
    for scheme, folder in _COPIES.items():
        if uri.startswith(scheme):
            return root + folder + uri.removeprefix(scheme)
    return None


def register_copies(root: str) -> None:
    """Has the files that the step writes name objects, not the launcher's copies of them."""
    for scheme, folder in _COPIES.items():
        paths.set_address(root + folder, scheme)


def name_objects(folder: Path) -> None:
    """Replaces the paths of copies, in the strings of all JSON files in the folder, by the addresses of the objects."""

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: named(each) for key, each in value.items()}
        if isinstance(value, list):
            return [named(each) for each in value]
        return paths.address(value) if isinstance(value, str) else value

    for file in folder.rglob("*.json"):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:  # not JSON, so by none of our components
            continue
        if named(content) != content:
            file.write_text(json.dumps(named(content)), encoding="utf-8")


def repair_input(executor_input: Json, inputs_spec: Json, root: str) -> Json:
    """Returns the launcher's ExecutorInput as TFX's entrypoint needs it: with types, local paths and no empty baseline.

    Args:
        executor_input: KFP's ExecutorInput.
        inputs_spec: the component's ComponentInputsSpec, which has the types of its inputs.
        root: the folder of the launcher's copies; "" for /.
    """
    inputs, outputs = executor_input.get("inputs", {}), executor_input["outputs"]
    types = {name: {"type": spec["artifactType"]} for name, spec in inputs_spec.get("artifacts", {}).items()}
    read = {name: _localized(artifact, root) | types[name] for name, artifact in artifacts(inputs)}
    written = {name: _localized(artifact, root) for name, artifact in artifacts(outputs) if _is_tfx(artifact)}
    present = {
        name: artifact for name, artifact in read.items() if name not in _OPTIONAL_INPUTS or _has_files(artifact["uri"])
    }
    return {
        "inputs": {"parameterValues": {}, **inputs, "artifacts": listed(present)},
        "outputs": {**outputs, "artifacts": listed(written)},
    }


def repair_output(executor_output: Json) -> Json:
    """Returns TFX's ExecutorOutput as the launcher needs it: with remote URIs, and without nulls, which it rejects."""
    reported = {}
    for name, artifact in artifacts(executor_output):
        metadata = {key: value for key, value in artifact.get("metadata", {}).items() if value is not None}
        remote = {key: paths.address(value) if isinstance(value, str) else value for key, value in metadata.items()}
        reported[name] = {**artifact, "uri": paths.address(artifact["uri"]), "metadata": remote}
    return {**executor_output, "artifacts": listed(reported)}


def artifacts(holder: Json) -> Iterator[tuple[str, Json]]:
    """Yields name and artifact; each list has a single one, as no channel of the graph has more."""
    for name, listed in holder.get("artifacts", {}).items():
        for artifact in listed.get("artifacts", []):
            yield name, artifact


def listed(artifacts: dict[str, Json]) -> Json:
    """Returns a holder of the artifacts, as `artifacts` reads it."""
    return {name: {"artifacts": [artifact]} for name, artifact in artifacts.items()}


def _localized(artifact: Json, root: str) -> Json:
    return {**artifact, "uri": local_path(artifact["uri"], root) or artifact["uri"]}


def _is_tfx(artifact: Json) -> bool:
    """Returns whether the type is TFX's; KFP's own outputs, such as `executor-logs`, have only a schema title."""
    return "instanceSchema" in artifact["type"]


def _make_folder(artifact: Json) -> None:
    """Makes the folder that the executor writes to; TFX's own launcher makes it, KFP's does not."""
    path = Path(artifact["uri"])
    is_value = yaml.safe_load(artifact["type"]["instanceSchema"]).get("title") in _VALUE_TYPES
    (path.parent if is_value else path).mkdir(parents=True, exist_ok=True)


def _has_files(path: str) -> bool:
    return any(file.is_file() for file in Path(path).rglob("*"))


def _ingest(parameters: Json, _: Json, scratch: Path) -> None:
    """Prepares the source named by `data`; a run on one machine does this before its graph."""
    settings = json.loads(parameters.pop("settings"))
    place = {"source": parameters.pop("data"), "workspace": str(scratch)}
    try:
        source = prepare(from_dict(PipelineConfig, settings | place))
    except UserError as error:
        message = str(error).replace("--data", "the parameter data").replace(f"{scratch}/", "")
        raise type(error)(f"parameter data={place['source']}: {message}") from error
    parameters |= {
        "input_base": str(source.folder),
        "image_folder": str(source.image_folder),
        "identity": source.identity.to_json(),
    }


def _search(parameters: Json, *_: Any) -> None:
    config = from_dict(TunerConfig, json.loads(parameters["custom_config"]))
    config = dataclasses.replace(config, resume_root=_mounted(config.resume_root))
    parameters["custom_config"] = json.dumps(to_dict(config))
    # Trials train in child processes, which need the GPU memory that this process does not use.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def _train(parameters: Json, *_: Any) -> None:
    epochs = parameters.pop("epochs")
    require(epochs >= 1 and epochs == int(epochs), f"parameter epochs={epochs:g} must be a whole number of at least 1")
    config = from_dict(TrainerConfig, json.loads(parameters["custom_config"]))
    train = dataclasses.replace(config.experiment.train, epochs=int(epochs))
    experiment = dataclasses.replace(config.experiment, train=train)
    config = TrainerConfig(experiment, _mounted(config.resume_root))
    parameters["custom_config"] = json.dumps(to_dict(config))
    from shiftvit.strategy import make_strategy

    make_strategy(train.replicas)  # devices must be declared before TensorFlow starts


def _evaluate(parameters: Json, examples: Json, _: Path) -> None:
    from components.evaluator.eval_config import make_eval_config

    bounds = json.loads(parameters.pop("settings"))["evaluate"]
    config = make_eval_config(int(examples[count_property(TEST)]), len(class_names(examples)), **bounds)
    parameters["eval_config"] = json_format.MessageToJson(config)


def _find_baseline(parameters: Json, *_: Any) -> None:
    parameters["push_destination"] = _mounted(parameters["push_destination"])


def _push(parameters: Json, *_: Any) -> None:
    destination = {"filesystem": {"base_directory": _mounted(parameters["push_destination"])}}
    parameters["push_destination"] = json.dumps(destination)


def _mounted(path: str) -> str:
    return os.environ.get(LOCAL_ROOT, "") + path


# Per executor: converts the parameters of the run to those of the executor, in place. Takes the metadata that ingestion
# recorded about the data, if the executor reads it, and a scratch folder.
PREPARATIONS: dict[str, Callable[[Json, Json, Path], None]] = {
    "components.example_gen.component.ImageExampleGen_Executor": _ingest,
    "components.tuner.component.Executor": _search,
    "tfx.components.trainer.executor.GenericExecutor": _train,
    "components.baseline.PushedBaseline_Executor": _find_baseline,
    "components.plain_uris.EvaluatorExecutor": _evaluate,
    "components.pusher.Executor": _push,
}


def run(options: argparse.Namespace, beam_args: list[str], scratch: Path) -> None:
    """Runs the executor named in `options`.

    Raises:
        UserError: the executor fails for a reason that the user can act on.
    """
    code = graph_fingerprint()
    require(
        options.code == code,
        f"the code in the image ({code}) differs from the code that compiled the pipeline ({options.code}): "
        "build the image and compile the pipeline from the same code",
    )
    root = os.environ.get(LOCAL_ROOT, "")
    inputs_spec = json.loads(options.json_serialized_inputs_spec_args)
    executor_input = repair_input(json.loads(options.json_serialized_invocation_args), inputs_spec, root)
    concludes = executor_input["outputs"].pop("parameters", None)  # the Pusher's step; TFX knows no such outputs
    if options.executor_class_path in PREPARATIONS:
        examples = dict(artifacts(executor_input["inputs"])).get("examples", {})
        parameters = executor_input["inputs"]["parameterValues"]
        PREPARATIONS[options.executor_class_path](parameters, examples.get("metadata", {}), scratch)
    for _, artifact in artifacts(executor_input["outputs"]):
        _make_folder(artifact)
    register_copies(root)
    options.json_serialized_invocation_args = json.dumps(executor_input)
    # Imported late: it takes seconds, and bad data is reported sooner without it.
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

    kubeflow_v2_run_executor.main((options, beam_args))
    output = Path(executor_input["outputs"]["outputFile"])
    reported = repair_output(json.loads(output.read_text(encoding="utf-8")))
    if concludes:
        reported["parameterValues"] = _conclude(executor_input, reported)
    atomic.write_file(output, json.dumps(reported))
    for _, artifact in artifacts(executor_input["outputs"]):
        name_objects(Path(artifact["uri"]))


def _conclude(executor_input: Json, reported: Json) -> Json:
    """Prints the last line that the terminal has after a run on one machine; returns the step's output parameters."""
    from components.evaluator.results import read_metrics
    from components.refusal import reasons
    from components.serving_folder import ALREADY_PUSHED, PUSHED_DESTINATION, PUSHED_VERSION
    from pipeline.reports.wording import conclusion

    read = dict(artifacts(executor_input["inputs"]))
    evaluation, blessing = read["evaluation"]["uri"], read["infra_blessing"]["uri"]
    names = class_names(read["examples"]["metadata"])
    pushed = dict(artifacts(reported))["pushed_model"]["metadata"]
    if pushed.get("pushed"):
        version, new = pushed[PUSHED_VERSION], not pushed.get(ALREADY_PUSHED)
        destination = pushed[PUSHED_DESTINATION].removeprefix(os.environ.get(LOCAL_ROOT, ""))
        result = RunResult((), read_metrics(evaluation, len(names)), {}, {}, version, destination, new)
    else:
        result = RunResult(reasons(evaluation, blessing, names))
    print(f"{MESSAGE_PREFIX}{conclusion(result)}", file=sys.stderr)
    return {PUSHED: bool(pushed.get("pushed")), CONCLUSION: conclusion(result)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one step with the arguments that TFX's compiler wrote; returns the exit code."""
    proxies.bypass()
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--executor_class_path", required=True, help="import path of the TFX executor")
    parser.add_argument("--json_serialized_invocation_args", required=True, help="KFP's ExecutorInput")
    parser.add_argument("--json_serialized_inputs_spec_args", required=True, help="the component's ComponentInputsSpec")
    parser.add_argument("--code", required=True, help="fingerprint of the code that the pipeline was compiled from")
    options, beam_args = parser.parse_known_args(arguments)
    logging.basicConfig(level=logging.INFO)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            run(options, beam_args, Path(scratch))
    except UserError as error:
        print(f"{MESSAGE_PREFIX}{error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
