"""Damaged and hostile archives, each with a pattern of its error message."""

import bz2
import gzip
import lzma
import pickle
import struct
import tarfile
import zlib

from cifar_files import BATCHES, BLOCKS, batch
from known_data import CLASS_NAMES
from tar_blocks import member, members, raw_header

from components.example_gen import records

BINARY, PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"
ONE_BATCH = (f"{BINARY}/data_batch_1.bin", BLOCKS[0])
META = pickle.dumps({"label_names": list(CLASS_NAMES)}, 2)


def archive(form, **changes):
    """Returns a valid archive with some files changed, by name: other bytes, or None to leave the file out."""
    make = {BINARY: binary_files, PYTHON: python_files}[form]
    files = make() | changes
    return members(*(member(f"{form}/{name}", content) for name, content in files.items() if content is not None))


def binary_files():
    names = {"batches.meta.txt": "\n".join(CLASS_NAMES).encode()}
    return names | {f"{name}.bin": block for name, block in zip(BATCHES, BLOCKS, strict=True)}


def python_files():
    return {"batches.meta": META} | {name: pickled(number) for number, name in enumerate(BATCHES)}


def pickled(number=0, protocol=2, **changes):
    data, labels = batch(number)
    return pickle.dumps({b"data": data, b"labels": labels} | {k.encode(): v for k, v in changes.items()}, protocol)


def label_at(position, label):
    block = bytearray(BLOCKS[1])
    block[position * records.RECORD_BYTES] = label
    return bytes(block)


def xz_with_dictionary(content, size):
    """Returns the content in an .xz file that asks for a dictionary of a size, as coded in its block's header."""
    packed = bytearray(lzma.compress(content))
    end = 12 + 4 * packed[12]  # of the block's header but for its checksum
    packed[packed.index(b"\x21\x01", 12, end) + 2] = size
    packed[end : end + 4] = struct.pack("<I", zlib.crc32(packed[12:end]))
    return bytes(packed)


PAX_NEGATIVE = member("x", b"12 size=-99\n", tarfile.XHDTYPE)
PAX_HUGE = member("x", b"28 size=9999999999999999999\n", tarfile.XHDTYPE)
PAX_SPARSE = member("x", b"27 GNU.sparse.map=x,y,zzzz\n", tarfile.XHDTYPE)
PAX_NOT_TEXT = member("x", b"19 hdrcharset=\xff\xfe\xfd\xfc\n", tarfile.XHDTYPE)

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
    "unknown batch": (archive(BINARY, **{"data_batch_06.bin": BLOCKS[0]}), "is no batch of this layout"),
    "batch is a folder": (members(member(ONE_BATCH[0], kind=tarfile.DIRTYPE)), "no CIFAR-10"),
    "batch twice": (members(member(*ONE_BATCH), member(*ONE_BATCH)), "contains data_batch_1.bin twice"),
    "zeros": (members(member(*ONE_BATCH), member(f"{BINARY}/readme.html", bytes(40 << 20))), "unpacks to far more"),
    "only zeros in a file": (members(member("zeros", bytes(40 << 20))), "no CIFAR-10 or CIFAR-100 .* found 'zeros'"),
    "zeros after the end": (members(member(*ONE_BATCH), end=bytes(40 << 20)), "unpacks to far more"),
    "zeros after a valid archive": (archive(BINARY) + gzip.compress(bytes(40 << 20), 9), "unpacks to far more"),
    "a million members": (members(*[member("a", kind=tarfile.DIRTYPE)] * 100_000), "no CIFAR-10 .* found nothing"),
    "negative size": (members(PAX_NEGATIVE, member(*ONE_BATCH)), "archive|bytes, but"),
    "huge size": (members(PAX_HUGE, member(*ONE_BATCH)), "bytes, but a file may have|has 0 bytes"),
    "header below zero": (members(raw_header(PAX_SPARSE, 124, b"\xff" * 12)), "bytes of headers|damaged one"),
    "broken sparse map": (members(PAX_SPARSE, member(*ONE_BATCH)), "damaged one"),
    "header in no charset": (members(PAX_NOT_TEXT, member(*ONE_BATCH)), "damaged one|missing"),
    "claims 8 GB": (members(raw_header(member(*ONE_BATCH), 124, b"77777777777\0")), "bytes, but a file may have"),
    "claims a size in base 256": (members(raw_header(member(*ONE_BATCH), 124, b"\x80" + b"\x7f" * 11)), "bytes, but"),
    "size below zero": (members(raw_header(member(*ONE_BATCH), 124, b"\xff" * 12)), "archive|bytes, but"),
    "size is no number": (members(raw_header(member(*ONE_BATCH), 124, b"zzzzzzzzzzz\0")), "damaged one"),
    "sparse, claims more": (members(raw_header(member(*ONE_BATCH), 156, b"S")), "archive|bytes|missing|twice"),
    "wrong checksum": (members(bytes(100) + member(*ONE_BATCH)), "damaged one"),
    "no end": (members(member(*ONE_BATCH)[:-700], end=b""), "damaged one|truncated"),
    "no tar": (gzip.compress(b"no tar inside " * 1000), "not a tar archive"),
    "only zeros": (gzip.compress(bytes(1 << 20)), "no CIFAR-10|archive"),
    "empty": (b"", "empty|truncated|archive"),
    "half a gzip header": (b"\x1f\x8b\x08", "truncated"),
    "gzip in gzip": (gzip.compress(archive(BINARY)), "not a tar archive"),
    "garbage after": (archive(BINARY) + b"garbage", "a damaged archive"),
    "garbage in bzip2": (b"BZh91AY&SY" + bytes(100), "a damaged archive"),
    "garbage after bzip2": (bz2.compress(gzip.decompress(archive(BINARY))) + b"garbage", "a damaged archive"),
    "half a bzip2": (bz2.compress(gzip.decompress(archive(BINARY)))[:9000], "truncated"),
    "half an xz": (lzma.compress(gzip.decompress(archive(BINARY)))[:9000], "truncated"),
    "zeros in bzip2": (bz2.compress(gzip.decompress(archive(BINARY)) + bytes(40 << 20)), "unpacks to far more"),
    "zeros in xz": (lzma.compress(gzip.decompress(archive(BINARY)) + bytes(40 << 20)), "unpacks to far more"),
    "3 GiB of memory for xz": (xz_with_dictionary(gzip.decompress(archive(BINARY)), 0x27), "Memory usage limit"),
    "zip": (b"PK\x03\x04" + bytes(100), "compressed by zip, which is not read"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(100), "compressed by zstd, which is not read"),
    "another set": (members(member("photos/cat/1.png", BLOCKS[0])), "no CIFAR-10 .* found 'photos/cat/1.png'; unpack"),
    "cut in a record": (archive(BINARY, **{"data_batch_2.bin": BLOCKS[1][:-1]}), "has 36,875 bytes"),
    "one byte more": (archive(BINARY, **{"test_batch.bin": BLOCKS[5] + b"x"}), "has 36,877 bytes"),
    "empty batch": (archive(BINARY, **{"test_batch.bin": b""}), "has 0 bytes"),
    "no test batch": (archive(BINARY, **{"test_batch.bin": None}), "test_batch.bin missing"),
    "first label wrong": (archive(BINARY, **{"data_batch_2.bin": label_at(0, 10)}), "label 10 at byte 0"),
    "last label wrong": (archive(BINARY, **{"data_batch_2.bin": label_at(11, 255)}), "label 255 at byte 33803"),
    "two classes": (archive(BINARY, **{"batches.meta.txt": b"cat\ndog\n"}), "labels are 0 to 1, as batches.meta.txt"),
    "one class": (archive(BINARY, **{"batches.meta.txt": b"cat\n"}), "1 class names, but there must be 2 to 256"),
    "no class": (archive(BINARY, **{"batches.meta.txt": b"\n \n"}), "0 class names, but there must be 2 to 256"),
    "257 classes": (archive(BINARY, **{"batches.meta.txt": b"\n".join(b"%d" % i for i in range(257))}), "257 class"),
    "one class ten times": (archive(BINARY, **{"batches.meta.txt": b"cat\n" * 10}), "class name 'cat' occurs twice"),
    "a cursor as class": (archive(BINARY, **{"batches.meta.txt": b"\x1b[2J\nb\nc\nd\ne"}), "not a valid class"),
    "a novel as class": (archive(BINARY, **{"batches.meta.txt": b"a" * 999 + b"\nb\nc\nd\ne"}), "not a valid"),
    "much text as classes": (archive(BINARY, **{"batches.meta.txt": b"a " * 50_000}), "bytes, but class names take"),
}  # fmt: skip
