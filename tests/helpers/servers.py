"""Runs `shiftvit serve` in a process, with a tiny model that classifies images by colour."""

import base64
import contextlib
import io
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import requests
import tensorflow as tf
from PIL import Image
from waiting import HANG_SECONDS, wait_until

from components import serving_folder
from pipeline.runs.workspace import Workspace
from shiftvit import export

ROOT = Path(__file__).parents[2]
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
ENGLISH, GERMAN = tuple(COLOURS), ("rot", "grün", "blau")
PREDICT = "/v1/models/shiftvit:predict"


class ByColour(tf.Module):
    """Logits by the mean of each colour channel in the upper half."""

    def __call__(self, images, training=False):
        return tf.reduce_mean(tf.cast(images[:, : images.shape[1] // 2], tf.float32), axis=(1, 2)) / 25.5


def save_model(folder, class_names=ENGLISH):
    """Exports ByColour with the signatures of the real model."""
    server = export.ServingModule(ByColour(), class_names, 32)
    signatures = {export.SERVING_DEFAULT: server.serve_images, export.SERVING_EXAMPLES: server.serve_examples}
    tf.saved_model.save(server, str(folder), signatures=signatures)
    return folder


def publish(workspace, model, keep=3):
    """Publishes the model as the newest version; returns its number."""
    return serving_folder.publish(model, workspace.serving, serving_folder.Origin(keep=keep))[0]


def png(colour, size=(32, 32)):
    file = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).save(file, "PNG")
    return file.getvalue()


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


RED = {"instances": [b64(png("red"))]}


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen
    url: str
    first_line: str
    workspace: Workspace

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def request(self, method, path, **options):
        return requests.request(method, self.url + path, timeout=HANG_SECONDS, **options)

    def post(self, body, path=PREDICT, **options):
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        return self.request("POST", path, **content, **options)

    def metric(self, name):
        """Returns a value of /metrics, or 0 if it is missing."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def version(self):
        """Returns the number of the served version, or None."""
        states = self.get("/v1/models/shiftvit").json()["model_version_status"]
        return next((int(state["version"]) for state in states if state["state"] == "AVAILABLE"), None)

    def wait_for(self, condition):
        """Returns once `condition()` is true."""
        wait_until(condition, self.process)

    def stop(self, number=signal.SIGTERM):
        """Sends the signal; returns the exit code and the remaining output."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=HANG_SECONDS)
        return self.process.returncode, output


@contextlib.contextmanager
def running(workspace, *options):
    """Runs a server at a free port for the block; yields it after its first line of output."""
    command = [sys.executable, "-m", "pipeline.cli.main", "serve", "--workspace", str(workspace.root), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=workspace.root,
    )
    try:
        line = process.stdout.readline()
        url = re.match(r"(http://127\.0\.0\.1:\d+): ", line)
        assert url, line + process.stdout.read()
        yield Server(process, url[1], line, workspace)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
