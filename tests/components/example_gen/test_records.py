import numpy as np
import pytest

from components.example_gen import records
from shiftvit.errors import DataError


def draw(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 32, 32, 3), np.uint8), np.arange(count, dtype=np.uint8) % 10


def test_record_is_a_label_and_three_colour_planes_in_row_major_order():
    block = bytes([7]) + bytes(range(256)) * 4 + b"\x11" * 1024 + b"\x22" * 1024
    images, labels = records.unpack(block, 10, "file")
    assert labels.tolist() == [7]
    assert images.shape == (1, 32, 32, 3) and images.dtype == np.uint8
    assert images[0, 0, :3].tolist() == [[0, 0x11, 0x22], [1, 0x11, 0x22], [2, 0x11, 0x22]]
    assert images[0, 1, 0].tolist() == [32, 0x11, 0x22]  # second row, first column


def test_pack_is_the_inverse_of_unpack():
    images, labels = draw(23)
    again, same = records.unpack(records.pack(images, labels), 10, "file")
    assert np.array_equal(images, again) and np.array_equal(labels, same)


def test_invalid_label_is_reported_with_file_and_offset():
    block = bytearray(records.pack(*draw(5)))
    block[3 * 3073] = 10
    with pytest.raises(DataError, match=r"some\.bin: label 10 at byte 9319;"):
        records.unpack(bytes(block), 10, "some.bin", offset=100)


def test_truncated_record_is_reported_with_file_and_offset():
    block = records.pack(*draw(3))[:-1]
    with pytest.raises(DataError, match=r"some\.bin: cut inside the record at byte 6146: 3072 of its 3073"):
        records.unpack(block, 10, "some.bin")
