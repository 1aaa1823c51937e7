import pickle
import struct

import numpy as np
import pytest

from pipeline.sources import pickles
from shiftvit.errors import DataError


def text(value):
    """Text as Python 2 pickles it: bytes, with an opcode that Python 3 no longer writes."""
    return b"U" + bytes([len(value)]) + value


def pickled_by_python_2(pixels):
    """The pickle that Python 2 and NumPy 1 write of {'data': pixels, 'labels': [3]}, for one row of < 256 bytes."""
    rebuilt = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    kind = (
        b"cnumpy\ndtype\n"
        + text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"|")
        + b"NNN"
        + (b"J" + struct.pack("<i", -1)) * 2
        + b"K\x00tb"
    )
    state = b"(K\x01K\x01K" + bytes([len(pixels)]) + b"\x86" + kind + b"\x89" + text(pixels) + b"tb"
    return b"\x80\x02}(" + text(b"data") + rebuilt + state + text(b"labels") + b"]K\x03au."


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_load_restores_arrays(protocol):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    fields = pickles.load(pickle.dumps({b"data": pixels, b"labels": [1, 2]}, protocol), "file")
    assert np.array_equal(fields["data"], pixels) and fields["data"].dtype == np.uint8
    assert fields["labels"] == [1, 2]


def test_load_restores_arrays_pickled_by_python_2():
    fields = pickles.load(pickled_by_python_2(bytes([0, 200, 255])), "file")
    assert fields["data"].tolist() == [[0, 200, 255]] and fields["data"].dtype == np.uint8
    assert fields["labels"] == [3]


class Calls:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def test_a_pickle_that_calls_code_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "run"
    for harmless in ({"data": Calls(open, str(marker), "w")}, Calls(eval, f"open({str(marker)!r}, 'w')")):
        with pytest.raises(DataError, match=r"data_batch_1: not a pickle of plain arrays.*it calls"):
            pickles.load(pickle.dumps(harmless), "data_batch_1")
    assert not marker.exists()


@pytest.mark.parametrize(
    "module, name",
    [
        ("numpy.core.multiarray", "fromfile"),
        ("numpy", "load"),
        ("_codecs", "lookup"),
        ("builtins", "getattr"),
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("os", "system"),
    ],
)
def test_only_constructors_of_arrays_are_allowed(module, name):
    with pytest.raises(DataError, match="it calls"):
        pickles.load(f"c{module}\n{name}\n.".encode(), "file")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x02}(",
        b"no pickle at all",
        b"\x80\xff.",
        b"(lp0\n.",
        b"\x80\x02cnumpy\nndarray\nK\x01\x85R.",
        b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    ],
)
def test_a_broken_pickle_raises_data_error(content):
    with pytest.raises(DataError, match="file: "):
        pickles.load(content, "file")
