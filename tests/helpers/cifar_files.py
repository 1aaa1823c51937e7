"""Small CIFAR-10 data sets in both published formats, and the splits expected of them."""

import pickle
import tarfile

import numpy as np
from known_data import CLASS_NAMES

from components.example_gen import records
from pipeline.config.settings import PipelineConfig
from pipeline.sources import prepare as sources

BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
RECORDS = 12  # of each batch
BATCH_BYTES = RECORDS * records.RECORD_BYTES


def batch(number):
    """Returns channel-planar images and labels of a batch, different for every number."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (RECORDS, 3072), np.uint8), rng.integers(0, 10, RECORDS).tolist()


BLOCKS = [records.pack_planes(*batch(number)) for number in range(6)]
SPLITS = {"train": b"".join(BLOCKS[:4]), "eval": BLOCKS[4], "test": BLOCKS[5]}


def make_binary(parent):
    folder = parent / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name, block in zip(BATCHES, BLOCKS, strict=True):
        (folder / f"{name}.bin").write_bytes(block)
    (folder / "batches.meta.txt").write_text("\n".join(CLASS_NAMES) + "\n\n")
    (folder / "readme.html").write_text("not data")
    return folder


def make_python(parent):
    folder = parent / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for number, name in enumerate(BATCHES):
        data, labels = batch(number)
        rewrite_pickle(
            folder / name,
            {b"data": data, b"labels": labels, b"batch_label": name.encode(), b"filenames": [b"a.png"] * RECORDS},
        )
    rewrite_pickle(folder / "batches.meta", {b"label_names": [name.encode() for name in CLASS_NAMES]})
    return folder


def rewrite_pickle(path, value, protocol=2):
    path.write_bytes(pickle.dumps(value, protocol))


def make_archive(folder, reverse=False):
    """Packs a folder into a `.tar.gz` beside it; the published archives are in no particular order."""
    path = folder.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name, recursive=False)
        for file in sorted(folder.iterdir(), reverse=reverse):
            archive.add(file, f"{folder.name}/{file.name}")
    return path


def prepare(source, tmp_path, **settings):
    config = PipelineConfig(source=str(source), workspace=str(tmp_path / "workspace"), **settings)
    return sources.prepare(config)


def splits(source):
    return {split: (source.folder / f"{split}.bin").read_bytes() for split in source.identity.counts}


def left_behind(tmp_path):
    return list((tmp_path / "workspace").rglob("*.*"))
