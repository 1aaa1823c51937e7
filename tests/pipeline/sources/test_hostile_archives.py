"""Damaged and hostile archives and pickles: each is refused with an error message, and leaves nothing."""

import gzip
import os
import re
import shutil
import struct
from random import Random

import pytest
from cifar_files import left_behind, prepare, splits
from hostile_archives import ARCHIVES, BINARY, PYTHON, archive, pickled
from hostile_pickles import METAS, PICKLES
from known_data import IMAGE_BYTES
from measured import run_measured
from tar_blocks import member, members

from components.example_gen import records
from pipeline.sources import cifar_published
from shiftvit.errors import DataError

CASES = dict(ARCHIVES)
for name, (content, message) in PICKLES.items():
    CASES[f"batch: {name}"] = archive(PYTHON, data_batch_4=content), message
for name, (content, message) in METAS.items():
    CASES[f"meta: {name}"] = archive(PYTHON, **{"batches.meta": content}), message


def refused(content, folder):
    """Prepares a source from the content, which must be refused; returns the error message."""
    path = folder / "archive.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare(path, folder)
    assert not left_behind(folder) and not (folder / "called").exists()
    message = str(caught.value)
    assert message.startswith(str(path)) and len(message) < 1000 and message.isprintable()
    return message


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_archive_is_refused_and_nothing_is_left(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, message = CASES[name]

    assert re.search(message, refused(content, tmp_path))


def mutated(content, random):
    """Returns the bytes with some of them changed, removed or doubled."""
    changed = bytearray(content)
    for _ in range(random.randint(1, 4)):
        place, length = random.randrange(len(changed)), random.choice((1, 1, 1, 2, 8, 100))
        kind = random.choice(("change", "change", "cut", "double"))
        part = random.randbytes(length) if kind == "change" else changed[place : place + length] * 2
        changed[place : place + length] = b"" if kind == "cut" else part
    return bytes(changed)


def mutate_packed(random):
    return mutated(random.choice((archive(BINARY), archive(PYTHON))), random)


def mutate_headers(random):
    """Mutates only the headers: most other bytes are pixels, which may have any value."""
    tar = gzip.decompress(random.choice((archive(BINARY), archive(PYTHON))))
    cut = 512 * random.choice((1, 2, 3, 4))
    return gzip.compress(mutated(tar[:cut], random) + tar[cut:], 1)


def mutate_pickle(random):
    content = pickled(protocol=random.choice((0, 1, 2, 3, 4)))
    start = content.find(bytes([128])) + 1 if random.random() < 0.5 else len(content) - 200
    spoiled = content[:start] + mutated(content[start : start + 200], random) + content[start + 200 :]
    return archive(PYTHON, data_batch_1=spoiled)


@pytest.mark.parametrize("mutate", [mutate_packed, mutate_headers, mutate_pickle])
def test_a_mutated_archive_is_refused_or_still_holds_all_its_records(mutate, tmp_path):
    outcomes = {"refused": 0, "read": 0}
    for seed in range(150):
        path = tmp_path / f"{seed}.tar.gz"
        path.write_bytes(mutate(Random(seed)))
        try:
            source = prepare(path, tmp_path)
        except DataError as error:
            outcomes["refused"] += 1
            assert str(error).startswith(str(path)) and str(error).isprintable() and len(str(error)) < 1000
        else:
            outcomes["read"] += 1
            for split, content in splits(source).items():
                assert len(records.unpack(content, 10, split)[0]) == source.identity.counts[split]
            shutil.rmtree(source.folder)
    assert outcomes["refused"] > 10 and not left_behind(tmp_path)


@pytest.mark.slow
def test_hostile_sources_cost_little_memory_and_cpu_time(tmp_path):
    """At the size of the real CIFAR-10, through the command."""
    size = cifar_published.BATCH_IMAGES * IMAGE_BYTES
    texts = b"\x80\x02X" + struct.pack("<I", size) + bytes(size) + b"q\x00c_codecs\nencode\nq\x01"
    bombs = {
        "zeros": members(member(f"{BINARY}/data_batch_1.bin", bytes(size + 10_000)), member("zeros", bytes(300 << 20))),
        "dictionaries": pickle_alone(b"\x80\x02" + b"}" * size),
        "texts": pickle_alone(texts + b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R" * 20_000 + b"."),
        "memo": pickle_alone((b"\x80\x02}r\xff\xff\xff\x7f.").ljust(size)),
        "depth": pickle_alone(b"\x80\x02)" + b"\x85" * size),
        "digits": pickle_alone(b"L" + b"9" * size + b"L\n."),
    }
    for name, content in bombs.items():
        (tmp_path / f"{name}.tar.gz").write_bytes(content)
    with (tmp_path / "terabyte.tar.gz").open("wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "sparse").mkdir()
    with (tmp_path / "sparse" / "data_batch_1.bin").open("wb") as file:
        file.truncate(1 << 40)
    os.mkfifo(tmp_path / "pipe")
    sources = [*(f"{name}.tar.gz" for name in bombs), "terabyte.tar.gz", "sparse", "pipe", "/dev/zero"]

    done = run_measured([["data", "--workspace", "workspace", "--data", source] for source in sources], tmp_path)

    assert done.exit_codes == [3] * len(sources) and len(done.errors) == len(sources)
    assert not any("neither an archive" in error for error in done.errors)
    assert max(done.cpu_seconds) < 30 and done.peak_mb < 1024
    assert not left_behind(tmp_path)


def pickle_alone(content):
    return members(member(f"{PYTHON}/data_batch_1", content))
