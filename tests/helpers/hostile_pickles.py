"""Damaged and hostile pickles of batches and class names, each with a pattern of its error message."""

import pickle
import struct

import numpy as np
from cifar_files import RECORDS
from hostile_archives import pickled
from known_data import CLASS_NAMES


class Calls:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def padded(program):
    """Returns the pickle padded to the size of a batch; nothing after its last instruction is read."""
    return program.ljust(RECORDS * 3072 + 100, b" ")


def with_pixels(program):
    """Returns the pickle, preceded by text of the size of the pixels, which stays in memo 0."""
    return b"\x80\x02X" + struct.pack("<I", RECORDS * 3072) + b"a" * (RECORDS * 3072) + b"q\x00" + program


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
        "makes more bytes than it contains",
    ),
    "bytes made by hex": (
        padded(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R."),
        "encodes bytes as hex",
    ),
    "a billion laughs as key": (padded(b"\x80\x02}" + LAUGHS + b"K\x01s."), "key of its dictionary"),
    "a billion laughs as name": (padded(b"\x80\x02" + LAUGHS + b"."), "dictionary, found tuple"),
    "nested 30,000 deep": (padded(b"\x80\x02)" + b"\x85" * 30_000 + b"."), "dictionary, found tuple"),
    "a million instructions": (b"\x80\x02" + b"}" * 1_000_000 + b".", "more than 109,750 instructions"),
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
    "a billion laughs as names": (b"\x80\x02}X\x0b\x00\x00\x00label_names]" + LAUGHS + b"as.", "not a list of str"),
    "no names": (pickle.dumps({"label_names": 3}, 2), "is not a list of strings"),
    "names that are numbers": (pickle.dumps({"label_names": list(range(10))}, 2), "is not a list of strings"),
    "a class without a name": (pickle.dumps({"label_names": ["", *CLASS_NAMES[1:]]}, 2), "not a valid class name"),
    "code": (pickle.dumps({"label_names": Calls(eval, "open('called', 'w')")}, 2), "it calls"),
}  # fmt: skip
