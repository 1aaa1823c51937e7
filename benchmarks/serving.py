"""Measures `shiftvit serve` under load beside the same model called in process: `python -m benchmarks.serving`.

The load generator is wrk (github.com/wg/wrk), over loopback, on the same processors as the server. The rows take turns,
so that what else the machine does meets all of them.
"""

import argparse
import base64
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.table import Table, number
from components import serving_folder
from pipeline.cli.options import DEFAULT_WORKSPACE
from pipeline.graph.nodes import PIPELINE_NAME
from pipeline.runs.workspace import Workspace
from pipeline.serving import protocol
from shiftvit.quiet import hush_libraries

IMAGES = 16  # that are sent in turn; also the most of one request, and of connections
_PREDICT = f"{protocol.MODELS}{PIPELINE_NAME}:predict"
_WARM_UP = 1.0  # seconds
_SCRIPT = """
local bodies, turn = {}, 0
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
wrk.method = "POST"
request = function()
  turn = turn % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[turn])
end
done = function(summary, latency)
  local e = summary.errors
  print(string.format('{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": %d}', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Figures:
    """How fast requests were answered; times in seconds."""

    rate: float  # requests a second
    p50: float
    p99: float


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", metavar="DIR", type=Path, default=Path(DEFAULT_WORKSPACE))
    parser.add_argument(
        "--seconds", metavar="N", type=int, default=5, help="of a row in each round (default: %(default)s)"
    )
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="the median is taken (default: %(default)s)")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk, the load generator, is not installed; `apt-get install wrk` does that")
    versions = serving_folder.numbers(Workspace(options.workspace).serving)
    if not versions:
        parser.error(f"--workspace {options.workspace}: no version was pushed there yet; `shiftvit run` pushes one")
    hush_libraries()
    version = Workspace(options.workspace).serving / str(versions[0])
    print(measure(options.workspace, version, options.seconds, options.rounds).render())


def measure(workspace: Path, version: Path, seconds: int, rounds: int) -> Table:
    """Returns the table of a version, which must be the newest of the workspace."""
    images, model = _images(), _load(version)
    with _server(workspace) as url:
        rows = {
            ("in process", 1, 1): lambda: _ask_in_process(model, images, 1, seconds),
            ("over HTTP", 1, 1): lambda: load(url, images, 1, 1, seconds),
            ("in process", 1, IMAGES): lambda: _ask_in_process(model, images, IMAGES, seconds),
            ("over HTTP", 1, IMAGES): lambda: load(url, images, IMAGES, 1, seconds),
            ("over HTTP", IMAGES, 1): lambda: load(url, images, 1, IMAGES, seconds),
        }
        figures = {row: [] for row in rows}
        for _ in range(rounds):
            for row, work in rows.items():
                figures[row].append(work())
    return _table({row: _median(taken) for row, taken in figures.items()}, seconds, rounds)


def load(url: str, images: Sequence[bytes], size: int, connections: int, seconds: int) -> Figures:
    """Returns what wrk measures of a server, with so many images a request.

    Raises:
        RuntimeError: when a request fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        script, bodies = Path(folder, "post.lua"), Path(folder, "bodies")
        script.write_text(_SCRIPT)
        groups = [images[start : start + size] for start in range(0, len(images), size)]
        bodies.write_text("".join(f"{_body(group)}\n" for group in groups))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url + _PREDICT]
        ended = subprocess.run(
            command, env={**os.environ, "BODIES": str(bodies)}, capture_output=True, text=True, timeout=seconds + 60
        )
    found = re.search(r"^\{.*\}$", ended.stdout, re.MULTILINE)
    result = json.loads(found[0]) if found else {"errors": ended.stdout + ended.stderr}
    if result["errors"]:
        raise RuntimeError(f"requests failed: {result['errors']}")
    return Figures(result["requests"] / result["seconds"], result["p50"], result["p99"])


def _images() -> list[bytes]:
    import tensorflow as tf

    from benchmarks.records import random_examples

    return [tf.io.encode_png(image).numpy() for image in random_examples(IMAGES)[0]]


def _load(version: Path):
    import tensorflow as tf

    return tf.saved_model.load(str(version))


def _body(images: Sequence[bytes]) -> str:
    return json.dumps({"instances": [{"b64": base64.b64encode(image).decode()} for image in images]})


@contextlib.contextmanager
def _server(workspace: Path) -> Iterator[str]:
    """Gives the address of a server of its own, once it serves."""
    command = [sys.executable, "-m", "pipeline.cli.main", "serve", "--workspace", str(workspace), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            address = re.match(r"(http://\S+): version \d+ is served$", line)
            if address is None:
                raise RuntimeError(f"the server does not serve: {line.strip()}")
            load(address[1], _images(), 1, IMAGES, int(_WARM_UP))
            yield address[1]
        finally:
            process.terminate()


def _ask_in_process(model, images: Sequence[bytes], size: int, seconds: float) -> Figures:
    import tensorflow as tf

    from shiftvit.export import IMAGE_BYTES_INPUT, SERVING_DEFAULT

    signature, times = model.signatures[SERVING_DEFAULT], []
    groups = [tf.constant(images[start : start + size]) for start in range(0, len(images), size)]
    signature(**{IMAGE_BYTES_INPUT: groups[0]})
    while sum(times) < seconds:
        started = time.perf_counter()
        outputs = signature(**{IMAGE_BYTES_INPUT: groups[len(times) % len(groups)]})
        [output.numpy() for output in outputs.values()]
        times.append(time.perf_counter() - started)
    cuts = statistics.quantiles(times, n=100)
    return Figures(len(times) / sum(times), cuts[49], cuts[98])


def _median(taken: Sequence[Figures]) -> Figures:
    return Figures(*(statistics.median(getattr(each, name) for each in taken) for name in ("rate", "p50", "p99")))


def _table(figures: dict[tuple[str, int, int], Figures], seconds: int, rounds: int) -> Table:
    table = Table(
        "The server beside its model in process",
        ("", "connections", "images a request", "requests/s", "images/s", "p50, ms", "p99, ms", "of one in process"),
        notes=(
            f"Medians of {rounds} rounds of {seconds} seconds a row, in turn; PNG files of 32 x 32 pixels; wrk, server "
            f"and model on the same {os.cpu_count()} processors.",
        ),
    )
    one = figures["in process", 1, 1].rate
    for (where, connections, size), measured in figures.items():
        images = measured.rate * size
        times = [number(1e3 * measured.p50), number(1e3 * measured.p99)]
        table.add(
            where, str(connections), str(size), number(measured.rate), number(images), *times, f"{images / one:.2f}"
        )
    return table


if __name__ == "__main__":
    main()
