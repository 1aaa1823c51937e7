import contextlib
import dataclasses
import os
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

# Set before TensorFlow is imported, here and in child processes.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its log would bury a failure
if "PYTEST_XDIST_WORKER" in os.environ:
    threads = len(os.sched_getaffinity(0)) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(name, str(max(threads, 1)))


def pytest_collection_modifyitems(config, items):
    """Starts the longest files first under pytest-xdist, so that the workers end together."""
    if config.getoption("numprocesses", None) or hasattr(config, "workerinput"):
        slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
        items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session")
def drawn_examples(tmp_path_factory):
    """The folder of an Examples artifact: drawn records, 256 in split train and 50 in eval, in two files each."""
    import known_data
    import tensorflow as tf

    from pipeline.sources import shapes
    from shiftvit import features

    folder = tmp_path_factory.mktemp("drawn_examples")
    for split, count in ((features.TRAIN, 256), (features.EVAL, 50)):
        (folder / f"Split-{split}").mkdir()
        drawn = zip(*shapes.draw(count, 0, split), strict=True)
        records = [features.encode(image, int(label)) for image, label in drawn]
        for number, part in enumerate((records[: count // 3], records[count // 3 :])):
            with tf.io.TFRecordWriter(f"{folder}/Split-{split}/data_tfrecord-{number:05d}-of-00002") as writer:
                for record in part:
                    writer.write(record)
    known_data.describe(folder, dataclasses.replace(known_data.CIFAR10, class_names=shapes.CLASS_NAMES))
    return folder


@dataclass(frozen=True)
class SmallDisk:
    """A file system of 8 MB."""

    folder: Path

    @contextlib.contextmanager
    def filled(self, left: int):
        """Leaves so many bytes of it free, for a while."""
        filler = self.folder / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(self.folder).free - left))
        yield
        filler.unlink()

    def files(self, below: str = "") -> list[str]:
        """Returns the files below a folder of it, relative to that."""
        folder = self.folder / below
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    def refusal(self, what: str) -> str:
        """Returns what DiskFullError says, as a pattern."""
        return rf"{self.folder}\S*: the disk is full: [\d.]+ MB are needed for {what}, and [\d.]+ MB are free"


@pytest.fixture
def small_disk(tmp_path):
    """A disk that is soon full, in memory."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a file system")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
