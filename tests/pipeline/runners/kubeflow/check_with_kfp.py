"""Reads each file as KFP's SDK does before an upload.

Runs in an environment with KFP 2. Prints a JSON list: for each file null, or the reason why it is refused.
"""

import json
import sys

import yaml
from google.protobuf import json_format
from kfp import components
from kfp.client import client
from kfp.kubernetes import kubernetes_executor_config_pb2


def check(file):
    component = components.load_component_from_file(file)
    document = client._extract_pipeline_yaml(file)
    client.validate_pipeline_display_name(document.pipeline_spec.pipeline_info.name)
    assert component.pipeline_spec == document.pipeline_spec
    with open(file) as stream:
        spec, *platforms = yaml.safe_load_all(stream)
    for platform in platforms:
        check_platform(platform["platforms"]["kubernetes"], spec["deploymentSpec"]["executors"])


def check_platform(kubernetes, executors):
    for label, settings in kubernetes["deploymentSpec"]["executors"].items():
        assert label in executors, f"there is no executor {label}"  # like the next check, KFP leaves this to its server
        json_format.ParseDict(settings, kubernetes_executor_config_pb2.KubernetesExecutorConfig())


def refusal(file):
    try:
        check(file)
    except (ValueError, KeyError, AssertionError, json_format.ParseError) as error:
        return f"{type(error).__name__}: {error}"
    return None


print(json.dumps([refusal(file) for file in sys.argv[1:]]))
