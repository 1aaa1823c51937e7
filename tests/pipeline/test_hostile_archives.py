"""Archives and pickles that are damaged, or made to do harm: each is refused with a sentence, and leaves nothing."""

import gzip
import os
import pickle
import re
import shutil
import struct
import tarfile
from random import Random

import numpy as np
import pytest
from cifar_files import BLOCKS, RECORDS, batch, left_behind, prepare, splits
from measured import run_measured

from components.example_gen import records
from pipeline import official
from shiftvit.errors import DataError
from shiftvit.features import CLASS_NAMES, IMAGE_BYTES

BINARY, PYTHON = official.BINARY.root, official.PYTHON.root
ONE_BATCH = (f"{BINARY}/data_batch_1.bin", BLOCKS[0])
META = pickle.dumps({"label_names": list(CLASS_NAMES)}, 2)


def member(name, content=b"", kind=tarfile.REGTYPE, link="", **fields):
    """Returns the blocks of one member; `fields` are of its header."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def raw_header(blocks, start, value):
    """Returns the blocks with other bytes in their first header, its checksum put right."""
    header = bytearray(blocks[:512])
    header[start : start + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + blocks[512:]


def members(*parts, end=bytes(1024)):
    return gzip.compress(b"".join(parts) + end, 1)


def whole(form, **instead):
    """Returns an archive that is right but for some files, by name: other bytes, or None for none."""
    make = {BINARY: binary_files, PYTHON: python_files}[form]
    files = make() | instead
    return members(*(member(f"{form}/{name}", content) for name, content in files.items() if content is not None))


def binary_files():
    names = {"batches.meta.txt": "\n".join(CLASS_NAMES).encode()}
    return names | {f"{name}.bin": block for name, block in zip(official.BATCHES, BLOCKS, strict=True)}


def python_files():
    return {"batches.meta": META} | {name: pickled(number) for number, name in enumerate(official.BATCHES)}


def pickled(number=0, protocol=2, **instead):
    data, labels = batch(number)
    return pickle.dumps({b"data": data, b"labels": labels} | {k.encode(): v for k, v in instead.items()}, protocol)


def padded(program):
    """Returns the pickle made as long as a batch: what follows its last instruction is not read."""
    return program.ljust(RECORDS * 3072 + 100, b" ")


def with_pixels(program):
    """Returns the program of a pickle, to which text as long as pixels are is prepended and dropped."""
    return b"\x80\x02X" + struct.pack("<I", RECORDS * 3072) + b"a" * (RECORDS * 3072) + b"q\x00" + program


class Calls:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def label_at(position, label):
    block = bytearray(BLOCKS[1])
    block[position * records.RECORD_BYTES] = label
    return bytes(block)


PAX_OF_DIGITS = member("x", b"1" * 1_000_000, tarfile.XHDTYPE)
PAX_SMALL = member("x", b"11 a=12345\n", tarfile.XHDTYPE)
PAX_NEGATIVE = member("x", b"12 size=-99\n", tarfile.XHDTYPE)
PAX_HUGE = member("x", b"30 size=9999999999999999999\n", tarfile.XHDTYPE)
PAX_SPARSE = member("x", b"27 GNU.sparse.map=x,y,zzzz\n", tarfile.XHDTYPE)
PAX_NOT_TEXT = member("x", b"20 hdrcharset=\xff\xfe\xfd\xfc\n", tarfile.XHDTYPE)

ARCHIVES = {
    "absolute path": (members(member(f"/{BINARY}/data_batch_1.bin", b"x")), "points outside"),
    "absolute path to etc": (members(member("/etc/cron.d/job", b"x")), "points outside"),
    "parent": (members(member(f"{BINARY}/../../out.bin", b"x")), "points outside"),
    "parent alone": (members(member("..", kind=tarfile.DIRTYPE)), "points outside"),
    "parent inside": (members(member(f"a/../{BINARY}/data_batch_1.bin", BLOCKS[0])), "points outside"),
    "symbolic link": (members(member(ONE_BATCH[0], kind=tarfile.SYMTYPE, link="/etc/passwd")), "a link or a device"),
    "link of a folder": (members(member(BINARY, kind=tarfile.SYMTYPE, link="/etc")), "a link or a device"),
    "hard link": (members(member(ONE_BATCH[0], kind=tarfile.LNKTYPE, link="/etc/shadow")), "a link or a device"),
    "link to a member": (members(member(*ONE_BATCH), member("b", kind=tarfile.LNKTYPE, link=ONE_BATCH[0])), "a link"),
    "pipe": (members(member(ONE_BATCH[0], kind=tarfile.FIFOTYPE)), "a link or a device"),
    "character device": (members(member("zero", kind=tarfile.CHRTYPE, devmajor=1, devminor=5)), "a link or a device"),
    "block device": (members(member("disk", kind=tarfile.BLKTYPE, devmajor=8)), "a link or a device"),
    "socket": (members(member("socket", kind=b"s")), "a link or a device"),
    "cursor in a name": (members(member(f"{BINARY}/data_batch_\x1b[2J", b"x")), r"\\x1b"),
    "newline in a name": (members(member(f"{BINARY}/data_batch_\n9", b"x")), r"\\n9"),
    "unknown batch": (whole(BINARY, **{"data_batch_6.bin": BLOCKS[0]}), "none of the 6"),
    "batch is a folder": (members(member(ONE_BATCH[0], kind=tarfile.DIRTYPE)), "not CIFAR-10"),
    "batch twice": (members(member(*ONE_BATCH), member(*ONE_BATCH)), "is there twice"),
    "zeros": (members(member(f"{BINARY}/readme.html", bytes(40 << 20))), "unpacks to far more"),
    "zeros after the end": (members(member(*ONE_BATCH), end=bytes(40 << 20)), "missing"),
    "zeros after whole": (whole(BINARY) + gzip.compress(bytes(40 << 20), 9), "unpacks to far more"),
    "a million members": (members(*[member("a", kind=tarfile.DIRTYPE)] * 100_000), "unpacks to far more"),
    "headers in a row": (members(*[PAX_SMALL] * 900), "damaged one"),
    "long header": (members(PAX_OF_DIGITS, member(*ONE_BATCH)), "a header of 1,000,000 bytes"),
    "long name": (members(member("n", b"n" * 100_000, tarfile.GNUTYPE_LONGNAME), member(*ONE_BATCH)), "a header of"),
    "long link": (members(member("n", b"n" * 100_000, tarfile.GNUTYPE_LONGLINK), member(*ONE_BATCH)), "a header of"),
    "negative size": (members(PAX_NEGATIVE, member(*ONE_BATCH)), "archive|bytes where"),
    "huge size": (members(PAX_HUGE, member(*ONE_BATCH)), "bytes where 12 records take"),
    "broken sparse map": (members(PAX_SPARSE, member(*ONE_BATCH)), "damaged one"),
    "header in no charset": (members(PAX_NOT_TEXT, member(*ONE_BATCH)), "damaged one|missing"),
    "claims 8 GB": (members(raw_header(member(*ONE_BATCH), 124, b"77777777777\0")), "bytes where 12 records take"),
    "claims a size in base 256": (members(raw_header(member(*ONE_BATCH), 124, b"\x80" + b"\x7f" * 11)), "bytes where"),
    "size below zero": (members(raw_header(member(*ONE_BATCH), 124, b"\xff" * 12)), "archive|bytes where"),
    "size is no number": (members(raw_header(member(*ONE_BATCH), 124, b"zzzzzzzzzzz\0")), "damaged one"),
    "sparse, claims more": (members(raw_header(member(*ONE_BATCH), 156, b"S")), "archive|bytes|missing|twice"),
    "wrong checksum": (members(bytes(100) + member(*ONE_BATCH)), "damaged one"),
    "no end": (members(member(*ONE_BATCH)[:-700], end=b""), "damaged one|truncated"),
    "no tar": (gzip.compress(b"no tar inside " * 1000), "not a tar archive"),
    "only zeros": (gzip.compress(bytes(1 << 20)), "not CIFAR-10|archive"),
    "empty": (b"", "empty|truncated|archive"),
    "half a gzip header": (b"\x1f\x8b\x08", "truncated"),
    "gzip in gzip": (gzip.compress(whole(BINARY)), "not a tar archive"),
    "garbage after": (whole(BINARY) + b"garbage", "not a gzip archive, or a damaged one"),
    "another compression": (b"BZh91AY&SY" + bytes(100), "not a gzip archive"),
    "zip": (b"PK\x03\x04" + bytes(100), "not a gzip archive"),
    "plain tar": (gzip.decompress(whole(BINARY)), "not a gzip archive"),
    "another set": (members(member("cifar-100-binary/train.bin", b"x")), "not CIFAR-10"),
    "cut at a record": (whole(BINARY, **{"data_batch_2.bin": BLOCKS[1][: -records.RECORD_BYTES]}), "has 33,803 bytes"),
    "cut in a record": (whole(BINARY, **{"data_batch_2.bin": BLOCKS[1][:-1]}), "has 36,875 bytes"),
    "one byte more": (whole(BINARY, **{"test_batch.bin": BLOCKS[5] + b"x"}), "has 36,877 bytes"),
    "empty batch": (whole(BINARY, **{"test_batch.bin": b""}), "has 0 bytes"),
    "no test batch": (whole(BINARY, **{"test_batch.bin": None}), "test_batch.bin missing"),
    "first label wrong": (whole(BINARY, **{"data_batch_2.bin": label_at(0, 10)}), "label 10 at byte 0"),
    "last label wrong": (whole(BINARY, **{"data_batch_2.bin": label_at(11, 255)}), "label 255 at byte 33803"),
    "two classes": (whole(BINARY, **{"batches.meta.txt": b"cat\ndog\n"}), "names of 10 classes, found 2"),
    "one class ten times": (whole(BINARY, **{"batches.meta.txt": b"cat\n" * 10}), "names of 10 classes"),
    "a cursor as class": (whole(BINARY, **{"batches.meta.txt": b"\x1b[2J b c d e f g h i j"}), "no name of a class"),
    "a novel as class": (whole(BINARY, **{"batches.meta.txt": b"a" * 999 + b" b c d e f g h i j"}), "no name"),
    "much text as classes": (whole(BINARY, **{"batches.meta.txt": b"a " * 50_000}), "bytes where the names"),
}  # fmt: skip

LAUGHS = b"K\x01K\x01\x86q\x01" + b"".join(b"h%c\x86q%c" % (k, k + 1) for k in range(1, 60))
PICKLES = {
    "os.system": (padded(b"cos\nsystem\n(S'touch called'\ntR."), r"it calls os\.system"),
    "eval": (padded(pickle.dumps({"data": Calls(eval, "open('called', 'w')")}, 2)), r"it calls __builtin__\.eval"),
    "exec, protocol 4": (padded(pickle.dumps(Calls(exec, "open('called', 'w')"), 4)), r"it calls builtins\.exec"),
    "an object's class": (padded(b"(ios\nsystem\nS'touch called'\no."), "instruction INST"),
    "a new object": (padded(b"\x80\x02cnumpy\nndarray\n)\x81."), "instruction NEWOBJ"),
    "a persistent id": (padded(b"Pname\n."), "instruction PERSID"),
    "an extension": (padded(b"\x80\x02\x82\x01."), "instruction EXT1"),
    "numpy's own loader": (padded(b"cnumpy\nload\n(S'f'\ntR."), r"it calls numpy\.load"),
    "a name with a dot": (padded(b"cnumpy.core.multiarray\n_reconstruct.__globals__\n."), "it calls"),
    "a cursor as name": (padded(b"c\x1b[2Jos\nsystem\n."), r"it calls \?\[2Jos\.system"),
    "a name of a megabyte": (padded(b"c" + b"a" * 30_000 + b"\nb\n."), "it calls a{50}"),
    "an array of objects": (pickled(data=np.array([{}] * RECORDS * 9999, object)), "its 'data' is not|instructions"),
    "an array of 10 GB": (padded(b"\x80\x02cnumpy\nndarray\nJ\0\xe4\x0bT\x85R."), "expected a pickled dictionary"),
    "an array larger than its bytes": (
        padded(
            b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
            b"J\0\xe4\x0bTM\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89U\x02abtbs."
        ),
        "its 'data' is not",
    ),
    "an array of texts": (
        padded(
            b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
            b"U\x05aaaaaJ\0\xe4\x0bT\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89U\x02abtbs."
        ),
        "its 'data' is not",
    ),
    "a distant memo": (padded(b"\x80\x02}r\xff\xff\xff\x7f."), "its 'data' is not"),
    "a memo of none": (padded(b"\x80\x02h\x07."), "not a pickle of plain arrays"),
    "texts made over and over": (
        with_pixels(b"c_codecs\nencode\nq\x01" + b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R" * 900 + b"."),
        "makes more bytes than it has",
    ),
    "bytes made by hex": (
        padded(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R."),
        "makes bytes by hex",
    ),
    "a billion laughs as key": (padded(b"\x80\x02}" + LAUGHS + b"K\x01s."), "key of its dictionary"),
    "a billion laughs as name": (padded(b"\x80\x02" + LAUGHS + b"."), "dictionary, found tuple"),
    "nested 30,000 deep": (padded(b"\x80\x02)" + b"\x85" * 30_000 + b"."), "dictionary, found tuple"),
    "a million instructions": (b"\x80\x02" + b"}" * 1_000_000 + b".", "more than 300,000 instructions"),
    "no end": (b"\x80\x02}" + b"N" * (RECORDS * 3072), "not a pickle of plain arrays"),
    "claims 2 GB": (padded(b"\x80\x02T\xff\xff\xff\x7fabc"), "not a pickle of plain arrays"),
    "claims 2^63 bytes": (padded(b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f"), "not a pickle of plain arrays"),
    "digits": (padded(b"L" + b"9" * 30_000 + b"L\n."), "not a pickle of plain arrays"),
    "a list": (padded(pickle.dumps([1, 2], 2)), "expected a pickled dictionary, found list"),
    "no labels": (pickled(labels=None), "its 'labels' is not"),
    "labels that are true": (pickled(labels=[True] * RECORDS), "its 'labels' is not"),
    "a label of 600 digits": (pickled(labels=[9**600] * RECORDS), "label 9|label [0-9]+ of image 0"),
    "a label below zero": (pickled(labels=[-1] * RECORDS), "label -1 of image 0"),
    "floats": (pickled(data=np.zeros((RECORDS, 3072), np.float32)), "its 'data' is not|has"),
    "another shape": (pickled(data=np.zeros((RECORDS, 32, 96), np.uint8)), "its 'data' is not"),
}  # fmt: skip

METAS = {
    "a billion laughs as names": (b"\x80\x02}X\x0b\x00\x00\x00label_names]" + LAUGHS + b"as.", "no list"),
    "no names": (pickle.dumps({"label_names": 3}, 2), "no list of texts"),
    "names that are numbers": (pickle.dumps({"label_names": list(range(10))}, 2), "no list of texts"),
    "a class without a name": (pickle.dumps({"label_names": ["", *CLASS_NAMES[1:]]}, 2), "no name of a class"),
    "code": (pickle.dumps({"label_names": Calls(eval, "open('called', 'w')")}, 2), "it calls"),
}  # fmt: skip

CASES = (
    ARCHIVES
    | {f"batch: {name}": (whole(PYTHON, data_batch_4=content), told) for name, (content, told) in PICKLES.items()}
    | {f"meta: {name}": (whole(PYTHON, **{"batches.meta": content}), told) for name, (content, told) in METAS.items()}
)


def refused(content, folder):
    """Returns the sentence with which it is refused, for bad data."""
    path = folder / "archive.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare(path, folder)
    assert not left_behind(folder) and not (folder / "called").exists()
    sentence = str(caught.value)
    assert sentence.startswith(str(path)) and len(sentence) < 1000 and sentence.isprintable()
    return sentence


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_archive_is_refused_with_a_sentence_and_nothing_is_left(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, told = CASES[name]

    assert re.search(told, refused(content, tmp_path))


def mutated(content, random):
    """Returns the bytes with some of them changed, cut out or doubled."""
    changed = bytearray(content)
    for _ in range(random.randint(1, 4)):
        place, length = random.randrange(len(changed)), random.choice((1, 1, 1, 2, 8, 100))
        kind = random.choice(("change", "change", "cut", "double"))
        part = random.randbytes(length) if kind == "change" else changed[place : place + length] * 2
        changed[place : place + length] = b"" if kind == "cut" else part
    return bytes(changed)


def mutate_packed(random):
    return mutated(random.choice((whole(BINARY), whole(PYTHON))), random)


def mutate_headers(random):
    """Only what lies around the batches: else most changes would meet pixels, which may be anything."""
    tar = gzip.decompress(random.choice((whole(BINARY), whole(PYTHON))))
    cut = 512 * random.choice((1, 2, 3, 4))
    return gzip.compress(mutated(tar[:cut], random) + tar[cut:], 1)


def mutate_pickle(random):
    content = pickled(protocol=random.choice((0, 1, 2, 3, 4)))
    start = content.find(bytes([128])) + 1 if random.random() < 0.5 else len(content) - 200
    spoiled = content[:start] + mutated(content[start : start + 200], random) + content[start + 200 :]
    return whole(PYTHON, data_batch_1=spoiled)


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
                assert len(records.unpack(content, split)[0]) == source.counts[split]
            shutil.rmtree(source.folder)
    assert outcomes["refused"] > 10 and not left_behind(tmp_path)


@pytest.mark.slow
def test_what_would_take_all_memory_or_forever_takes_neither(tmp_path):
    """Of the size that CIFAR-10 really has, by the command itself."""
    size = official.BATCH_RECORDS * IMAGE_BYTES
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
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "terabyte").open("wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "folder").mkdir()
    with (tmp_path / "folder" / "data_batch_1.bin").open("wb") as file:
        file.truncate(1 << 40)
    os.mkfifo(tmp_path / "pipe")
    sources = [*bombs, "terabyte", "folder", "pipe", "/dev/zero"]

    done = run_measured([["data", "--workspace", "workspace", "--data", source] for source in sources], tmp_path)

    assert done.exit_codes == [3] * len(sources) and len(done.sentences) == len(sources)
    assert max(done.seconds) < 10 and done.peak_mb < 1024
    assert not left_behind(tmp_path)


def pickle_alone(content):
    return members(member(f"{PYTHON}/data_batch_1", content))
