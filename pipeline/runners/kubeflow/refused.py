"""The last step of the compiled pipeline: KFP runs it only if the model was refused, and skips it otherwise.

A run of KFP knows success and failure only. So the state of this step says whether the gates refused the model, on
KFP's page and to `submit --wait`. Imports nothing heavy.
"""

import argparse
import sys
from collections.abc import Sequence

from pipeline.config.kubeflow import KubeflowConfig
from pipeline.graph.nodes import Node
from pipeline.runners.kubeflow.pipeline_file import MESSAGE_PREFIX, Json
from shiftvit.errors import NotBlessedError

REFUSED = "Refused"  # the step
PUSHED, CONCLUSION = "pushed", "conclusion"  # outputs of the Pusher's step: whether it has a version, and a sentence
_LABEL = f"{REFUSED}_executor"
_MODULE = "pipeline.runners.kubeflow.refused"


def add(spec: Json, config: KubeflowConfig) -> None:
    """Adds the step to a PipelineSpec, and to its Pusher the outputs that the step reads."""
    kinds = {PUSHED: "BOOLEAN", CONCLUSION: "STRING"}
    declared = {"parameters": {name: {"parameterType": kind} for name, kind in kinds.items()}}
    spec["components"][Node.PUSHER].setdefault("outputDefinitions", {}).update(declared)
    spec["components"][REFUSED] = {"executorLabel": _LABEL, "inputDefinitions": declared}
    spec["deploymentSpec"]["executors"][_LABEL] = {
        "container": {
            "image": config.image,
            "command": ["python", "-m", _MODULE],
            "args": [f"{{{{$.inputs.parameters['{CONCLUSION}']}}}}", f"--then={config.refused}"],
        }
    }
    outputs = {
        name: {"taskOutputParameter": {"producerTask": Node.PUSHER.value, "outputParameterKey": name}} for name in kinds
    }
    spec["root"]["dag"]["tasks"][REFUSED] = {
        "taskInfo": {"name": REFUSED},
        "componentRef": {"name": REFUSED},
        "cachingOptions": {"enableCache": True},
        "inputs": {"parameters": outputs},
        "dependentTasks": [Node.PUSHER.value],
        "triggerPolicy": {"condition": f"inputs.parameter_values['{PUSHED}'] == false"},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Repeats the Pusher's sentence as the last line of the log; returns the exit code."""
    parser = argparse.ArgumentParser(description=main.__doc__, allow_abbrev=False)
    parser.add_argument("conclusion", help="the Pusher's sentence")
    parser.add_argument("--then", choices=("pass", "fail"), required=True, help="how the run ends")
    parser.add_argument("--code", required=True, help="fingerprint of the code, part of the key of KFP's cache")
    options = parser.parse_args(arguments)
    print(f"{MESSAGE_PREFIX}{options.conclusion}", file=sys.stderr)
    return NotBlessedError.exit_code if options.then == "fail" else 0


if __name__ == "__main__":
    sys.exit(main())
