"""Measures `shiftvit serve` under load, next to its model called in process: `python -m benchmarks.serving`.

The load generator is wrk (github.com/wg/wrk), over loopback, on the same processors as the server. The rows alternate,
so that other load on the machine slows all of them alike.
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
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.table import Table, number
from components import serving_folder
from pipeline.cli.options import DEFAULT_WORKSPACE
from pipeline.graph.nodes import PIPELINE_NAME
from pipeline.runs.workspace import Workspace
from pipeline.serving import protocol
from shiftvit.processes import python
from shiftvit.quiet import silence_libraries

IMAGES = 16  # different images; also the largest number per request, and of connections
_PREDICT = f"{protocol.MODELS}{PIPELINE_NAME}:predict"
_WARM_UP = 1  # seconds

Row = tuple[str, int, int]  # where the model runs, the connections and the images per request

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


class Figures(NamedTuple):
    """Rate and latency of requests."""

    rate: float  # requests per second
    p50: float  # seconds
    p99: float  # seconds


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspace", metavar="DIR", type=Path, default=Path(DEFAULT_WORKSPACE), help="of the model")
    parser.add_argument("--seconds", metavar="N", type=int, default=5, help="per row and round (default: %(default)s)")
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="to take medians of (default: %(default)s)")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        parser.error("wrk, the load generator, is not installed; install it with `apt-get install wrk`")
    serving = Workspace(options.workspace).serving
    versions = serving_folder.numbers(serving)
    if not versions:
        parser.error(f"--workspace {options.workspace}: no version was pushed there yet; `shiftvit run` pushes one")
    silence_libraries()
    print(measure(options.workspace, serving / str(versions[0]), options.seconds, options.rounds).render())


def measure(workspace: Path, version: Path, seconds: int, rounds: int) -> Table:
    """Returns the table for a version, which must be the newest of the workspace."""
    import tensorflow as tf

    from benchmarks.records import random_pngs

    images, model = random_pngs(IMAGES), tf.saved_model.load(str(version))
    with _server(workspace) as url:
        load(url, images, 1, IMAGES, _WARM_UP)
        rows: dict[Row, Callable[[], Figures]] = {
            ("in process", 1, 1): lambda: _call_in_process(model, images, 1, seconds),
            ("over HTTP", 1, 1): lambda: load(url, images, 1, 1, seconds),
            ("in process", 1, IMAGES): lambda: _call_in_process(model, images, IMAGES, seconds),
            ("over HTTP", 1, IMAGES): lambda: load(url, images, IMAGES, 1, seconds),
            ("over HTTP", IMAGES, 1): lambda: load(url, images, 1, IMAGES, seconds),
        }
        figures: dict[Row, list[Figures]] = {row: [] for row in rows}
        for _ in range(rounds):
            for row, work in rows.items():
                figures[row].append(work())
    return _table({row: _median(of_row) for row, of_row in figures.items()}, seconds, rounds)


def load(url: str, images: Sequence[bytes], size: int, connections: int, seconds: int) -> Figures:
    """Puts load on a server with wrk, `size` images per request, and returns the measured figures.

    Raises:
        RuntimeError: when a request fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        script, bodies = Path(folder, "post.lua"), Path(folder, "bodies")
        script.write_text(_SCRIPT, encoding="utf-8")
        groups = [images[start : start + size] for start in range(0, len(images), size)]
        bodies.write_text("".join(f"{_body(group)}\n" for group in groups), encoding="utf-8")
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url + _PREDICT]
        environment = {**os.environ, "BODIES": str(bodies)}
        wrk = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=seconds + 60)
    summary = re.search(r"^\{.*\}$", wrk.stdout, re.MULTILINE)
    if summary is None:
        raise RuntimeError(f"wrk failed: {wrk.stdout + wrk.stderr}")
    result = json.loads(summary[0])
    if result["errors"]:
        raise RuntimeError(f"{result['errors']} requests failed")
    return Figures(result["requests"] / result["seconds"], result["p50"], result["p99"])


def _body(images: Sequence[bytes]) -> str:
    return json.dumps({"instances": [{"b64": base64.b64encode(image).decode()} for image in images]})


@contextlib.contextmanager
def _server(workspace: Path) -> Iterator[str]:
    """Runs a server for the block; yields its address once it serves a version."""
    command = [*python("pipeline.cli.main"), "serve", "--workspace", str(workspace), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            address = re.match(r"(http://\S+): version \d+ is served$", line)
            if address is None:
                raise RuntimeError(f"the server does not serve: {line.strip()}")
            yield address[1]
        finally:
            process.terminate()


def _call_in_process(model: Any, images: Sequence[bytes], size: int, seconds: float) -> Figures:
    import tensorflow as tf

    from shiftvit.export import IMAGE_BYTES_INPUT, SERVING_DEFAULT

    signature = model.signatures[SERVING_DEFAULT]
    groups = [tf.constant(images[start : start + size]) for start in range(0, len(images), size)]
    signature(**{IMAGE_BYTES_INPUT: groups[0]})
    times: list[float] = []
    while sum(times) < seconds:
        started = time.perf_counter()
        outputs = signature(**{IMAGE_BYTES_INPUT: groups[len(times) % len(groups)]})
        [output.numpy() for output in outputs.values()]
        times.append(time.perf_counter() - started)
    percentiles = statistics.quantiles(times, n=100)
    return Figures(len(times) / sum(times), percentiles[49], percentiles[98])


def _median(rounds: Sequence[Figures]) -> Figures:
    return Figures(*map(statistics.median, zip(*rounds, strict=True)))


def _table(figures: dict[Row, Figures], seconds: int, rounds: int) -> Table:
    note = (
        f"Medians of {rounds} alternating rounds, {seconds} seconds per row; PNG files of 32 x 32 pixels; wrk, the "
        f"server and the model share {os.cpu_count()} processors."
    )
    load_headings = ("", "connections", "images per request")
    headings = (*load_headings, "requests/s", "images/s", "p50, ms", "p99, ms", "times one in process")
    table = Table("The server next to its model in process", headings, notes=(note,))
    reference = figures["in process", 1, 1].rate
    for (where, connections, size), measured in figures.items():
        images = measured.rate * size
        speeds = (measured.rate, images, 1e3 * measured.p50, 1e3 * measured.p99)
        table.add(where, str(connections), str(size), *map(number, speeds), f"{images / reference:.2f}")
    return table


if __name__ == "__main__":
    main()
