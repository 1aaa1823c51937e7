"""The machine a run ran on: hardware, versions, and the energy its processors used."""

import importlib.metadata
import os
import platform
import re
import threading
from pathlib import Path
from typing import Any

from pipeline.graph.fingerprint import graph_fingerprint

PACKAGES = (  # of which those are listed that the stack has
    "tfx",
    "tensorflow",
    "tf-keras",
    "tensorflow-addons",
    "tensorflow-model-analysis",
    "tensorflow-data-validation",
    "keras-tuner",
    "apache-beam",
    "ml-metadata",
    "numpy",
)
_POWERCAP = Path("/sys/class/powercap")
_PACKAGE_ZONE = re.compile(r"intel-rapl:\d+")  # a whole processor, also of AMD; parts of one have longer names


def describe() -> dict[str, Any]:
    """Returns hardware, system and versions as JSON-serialisable data; imports TensorFlow."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "gpus": _gpus(),
        "system": platform.platform(),
        "versions": {"python": platform.python_version()}
        | {name: version for name in PACKAGES if (version := _version(name))},
        "code": graph_fingerprint(),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        model = None
    return model[1] if model else platform.processor() or platform.machine()


def _gpus() -> list[str]:
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in devices]


class EnergyMeter:
    """Measures the energy of all processors during its block, from the kernel's counters (RAPL).

    Most machines let only root read the counters. A counter wraps around after some minutes under load, so the meter
    reads it more often than that.
    """

    def __init__(self, folder: Path = _POWERCAP, interval: float = 20.0):
        """Finds the counters.

        Args:
            folder: with the kernel's power zones.
            interval: seconds between readings.
        """
        self._zones = _readable_zones(folder)
        self._interval, self._ended = interval, threading.Event()
        self._microjoules = 0

    @property
    def joules(self) -> float | None:
        """Used by all programs on the machine until the block ended; None if the counters cannot be read."""
        return self._microjoules / 1e6 if self._zones else None

    def __enter__(self) -> "EnergyMeter":
        self._last = self._read()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while self._zones:
            ended = self._ended.wait(self._interval)
            now = self._read()
            for zone, limit in self._zones.items():
                self._microjoules += (now[zone] - self._last[zone]) % limit
            self._last = now
            if ended:
                return

    def _read(self) -> dict[Path, int]:
        return {zone: int((zone / "energy_uj").read_text(encoding="utf-8")) for zone in self._zones}


def _readable_zones(folder: Path) -> dict[Path, int]:
    """Returns the value at which each zone's counter wraps around; an empty dict if any counter is unreadable."""
    zones = [zone for zone in sorted(folder.glob("*")) if _PACKAGE_ZONE.fullmatch(zone.name)]
    try:
        for zone in zones:
            (zone / "energy_uj").read_text(encoding="utf-8")
        return {zone: int((zone / "max_energy_range_uj").read_text(encoding="utf-8")) for zone in zones}
    except OSError:
        return {}
