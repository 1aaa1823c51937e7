"""The limits on an archive's headers, on any Python from 3.10 on: these tests import neither TensorFlow nor TFX."""

import gzip
import io
import tarfile
import tracemalloc

import pytest
from tar_blocks import member, members, raw_header

from pipeline.sources import archives
from shiftvit.errors import DataError

FILE = member("batch", b"content")
PAX = member("x", b"11 a=12345\n", tarfile.XHDTYPE)
SPARSE = member("x", b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n", tarfile.XHDTYPE)
CHAIN = raw_header(raw_header(member("batch"), 156, b"S"), 482, b"\1")  # an old sparse file: its map goes on in blocks

HEADERS = {
    "long": member("x", b"1" * 1_000_000, tarfile.XHDTYPE) + FILE,
    "long, of Solaris": member("x", b"1" * 1_000_000, tarfile.SOLARIS_XHDTYPE) + FILE,
    "long, for all members": member("x", b"1" * 1_000_000, tarfile.XGLTYPE) + FILE,
    "long name": member("n", b"n" * 100_000, tarfile.GNUTYPE_LONGNAME) + FILE,
    "long link": member("n", b"n" * 100_000, tarfile.GNUTYPE_LONGLINK) + FILE,
    "a little too long": member("n", b"n" * 3072, tarfile.GNUTYPE_LONGNAME) + FILE,
    "many, for one member": PAX * 900 + FILE,
    "many, for all members": member("x", b"11 a=12345\n", tarfile.XGLTYPE) * 900 + FILE,
    "sparse map": SPARSE + member("batch", b"90000\n" + b"1\n" * 180_000),
    "sparse map in blocks": CHAIN + (b"1" * 504 + b"\1" + bytes(7)) * 2000,
}


def read(content, folder, limit=4 << 20):
    path = folder / "archive.tar.gz"
    path.write_bytes(content)
    return {str(name): file for name, file in archives.read_files(path, lambda name, size: True, limit)}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_longer_than_honest_ones_are_refused_before_they_are_read(name, tmp_path):
    content = members(FILE, HEADERS[name])
    tracemalloc.start()
    with pytest.raises(DataError) as caught:
        read(content, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    path = tmp_path / "archive.tar.gz"
    assert str(caught.value) == f"{path}: a member with more than 4,096 bytes of headers; refused"
    assert peak < 800_000


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_honest_headers_are_read(form, tmp_path):
    folder = "a" * (100 if form == tarfile.USTAR_FORMAT else 1000)
    files = {f"{folder}/{'b' * 90}{number}": bytes([number]) * (number * 100_000) for number in range(5)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form, pax_headers={"comment": "c" * 100}) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname = len(content), 1764553627.25, "ü" * 20
            archive.addfile(info, io.BytesIO(content))

    assert read(gzip.compress(packed.getvalue(), 1), tmp_path, limit=100_000) == files


def test_a_file_that_is_not_admitted_counts_as_unpacked(tmp_path):
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(members(member("readme", bytes(200_000)), FILE))

    with pytest.raises(DataError, match="unpacks to far more"):
        list(archives.read_files(path, lambda name, size: name.name == "batch", 100_000))
    assert [content for _, content in archives.read_files(path, lambda name, size: name.name == "batch", 300_000)] == [
        b"content"
    ]


def test_a_member_that_begins_before_the_last_is_refused(tmp_path):
    """Its size is -4,096 bytes: without an end, as the header at byte 0 would be read again and again."""
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(members(FILE, raw_header(member("readme"), 124, b"\xff" * 10 + b"\xf0\0"), FILE))

    try:
        read = [content for _, content in archives.read_files(path, lambda name, size: name.name == "batch", 100_000)]
    except DataError as error:
        assert "a damaged one (a member that begins before the end of the last)" in str(error)
    else:
        assert read == [b"content"], "newer versions of tarfile take an invalid header for the end of the archive"
