"""Members of tar archives, byte by byte: also such as no program writes. Imports no TensorFlow."""

import gzip
import tarfile


def member(name, content=b"", kind=tarfile.REGTYPE, link="", **fields):
    """Returns the blocks of a member; `fields` set fields of its header."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def raw_header(blocks, start, value):
    """Returns the blocks with bytes of the first header replaced, and its checksum corrected."""
    header = bytearray(blocks[:512])
    header[start : start + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + blocks[512:]


def members(*parts, end=bytes(1024)):
    return gzip.compress(b"".join(parts) + end, 1)
