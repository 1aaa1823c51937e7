"""Small data sets in the layouts of CIFAR-100, and own ones in that of CIFAR-10, with the splits expected of them."""

import numpy as np
from cifar_files import rewrite_pickle

from components.example_gen import records

FINE_NAMES = tuple(f"fine {number}" for number in range(100))
COARSE_NAMES = tuple(f"coarse {number}" for number in range(20))
IMAGES = {"train": 25, "test": 7}


def draw(name, count=None):
    """Returns channel-planar images of a file of CIFAR-100, and their coarse and fine labels."""
    rng = np.random.default_rng(len(name))
    count = count or IMAGES[name]
    return rng.integers(0, 256, (count, 3072), np.uint8), rng.integers(0, 20, count), rng.integers(20, 100, count)


def cifar100_splits(labels):
    """Returns the records of each split: the last fifth of `train` is the eval split."""
    column = {"coarse": 1, "fine": 2}[labels]
    files = {name: draw(name) for name in IMAGES}
    blocks = {name: records.pack_planes(fields[0], fields[column]) for name, fields in files.items()}
    end = 20 * records.RECORD_BYTES
    return {"train": blocks["train"][:end], "eval": blocks["train"][end:], "test": blocks["test"]}


def make_cifar100_binary(parent):
    folder = parent / "cifar-100-binary"
    folder.mkdir(parents=True)
    for name in IMAGES:
        planes, coarse, fine = draw(name)
        rows = np.concatenate([np.stack([coarse, fine], axis=1).astype(np.uint8), planes], axis=1)
        (folder / f"{name}.bin").write_bytes(rows.tobytes())
    for labels, names in (("fine", FINE_NAMES), ("coarse", COARSE_NAMES)):
        (folder / f"{labels}_label_names.txt").write_text("\n".join(names) + "\n")
    return folder


def make_cifar100_python(parent):
    folder = parent / "cifar-100-python"
    folder.mkdir(parents=True)
    for name in IMAGES:
        planes, coarse, fine = draw(name)
        rewrite_pickle(
            folder / name,
            {
                b"filenames": [b"a_s_000001.png"] * len(planes),
                b"batch_label": b"training batch 1 of 1",
                b"fine_labels": fine.tolist(),
                b"coarse_labels": coarse.tolist(),
                b"data": planes,
            },
        )
    names = {b"fine_label_names": FINE_NAMES, b"coarse_label_names": COARSE_NAMES}
    rewrite_pickle(folder / "meta", {key: [name.encode() for name in value] for key, value in names.items()})
    (folder / "file.txt~").write_text("")
    return folder


OWN_NAMES = ("polar bear", "seal", "whale")
OWN_SIZES = (5, 9, 1, 2, 3, 2, 1, 2, 3, 4)  # of the training batches
_OWN = [draw(f"data_batch_{number}", size) for number, size in enumerate(OWN_SIZES, start=1)]
_OWN_FILES = {f"data_batch_{number}": (planes, fine % 3) for number, (planes, _, fine) in enumerate(_OWN, start=1)}
_OWN_FILES["test_batch"] = draw("test_batch", 7)[0], np.arange(7) % 3
_OWN_BLOCKS = [records.pack_planes(*batch) for batch in _OWN_FILES.values()]
OWN_SPLITS = {"train": b"".join(_OWN_BLOCKS[:9]), "eval": _OWN_BLOCKS[9], "test": _OWN_BLOCKS[10]}


def make_own_binary(folder):
    """Three classes, and batches of different sizes."""
    folder.mkdir(parents=True)
    for name, batch in _OWN_FILES.items():
        (folder / f"{name}.bin").write_bytes(records.pack_planes(*batch))
    (folder / "batches.meta.txt").write_text("\ufeff" + "\r\n".join(OWN_NAMES))
    return folder


def make_own_python(folder):
    folder.mkdir(parents=True)
    for name, (planes, labels) in _OWN_FILES.items():
        rewrite_pickle(folder / name, {"data": planes, "labels": labels.tolist()})
    rewrite_pickle(folder / "batches.meta", {"label_names": list(OWN_NAMES)})
    return folder
