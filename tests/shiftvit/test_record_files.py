import os
import re
import struct

import numpy as np
import pytest
import tensorflow as tf

from shiftvit import features
from shiftvit.errors import DataError
from shiftvit.record_files import RecordFiles, explain_errors

FRAME = 16  # bytes of a record beside its data


def write(path, records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)


@pytest.fixture
def folder(tmp_path):
    """Three files with records of different lengths, one file empty and one record empty."""
    write(tmp_path / "a", [b"first", b"second one"])
    write(tmp_path / "b", [])
    write(tmp_path / "c", [b"", b"x" * 5000, b"last"])
    return tmp_path


def patch(path, position, data):
    content = bytearray(path.read_bytes())
    content[position : position + len(data)] = data
    path.write_bytes(content)


def test_records_are_read_in_any_order(folder):
    records = RecordFiles([f"{folder}/*"])

    assert len(records) == 5
    read = records.read(np.array([4, 0, 3, 1, 2, 0]))
    assert read.tolist() == [b"last", b"first", b"x" * 5000, b"second one", b"", b"first"]


def test_there_may_be_no_records(folder):
    assert len(RecordFiles([f"{folder}/b"])) == len(RecordFiles([f"{folder}/none*"])) == 0


@pytest.mark.parametrize("limit", [3, 0])
def test_few_files_stay_open(tmp_path, monkeypatch, limit):
    """With none, each is closed as soon as nothing refers to it, as when another thread has just opened the same."""
    monkeypatch.setattr("shiftvit.record_files._OPEN_FILES", limit)
    for number in range(10):
        write(tmp_path / str(number), [b"%d" % number])
    records = RecordFiles([f"{tmp_path}/*"])
    opened = len(os.listdir("/proc/self/fd"))

    assert records.read(np.arange(10)).tolist() == [b"%d" % number for number in range(10)]
    assert len(os.listdir("/proc/self/fd")) == opened + limit


@pytest.mark.parametrize("position", [0, 5 + FRAME])
def test_a_damaged_length_is_found_before_training(folder, position):
    patch(folder / "a", position, struct.pack("<Q", 2**63))  # which must not be allocated

    with pytest.raises(DataError, match=rf"^{folder}/a: the record at byte {position} is damaged"):
        RecordFiles([f"{folder}/*"])


@pytest.mark.parametrize(("left", "position"), [(3, 0), (14, 0), (20, 0), (5 + FRAME + 1, 21), (46, 21)])
def test_a_cut_file_is_found_before_training(folder, left, position):
    os.truncate(folder / "a", left)

    with pytest.raises(DataError, match=rf"^{folder}/a: cut inside the record at byte {position}; ingest"):
        RecordFiles([f"{folder}/*"])


def test_damaged_data_is_found_when_it_is_read(folder):
    records = RecordFiles([f"{folder}/*"])
    patch(folder / "a", 5 + FRAME + 12, b"S")

    assert records.read(np.array([0, 2, 3, 4])).size == 4
    with pytest.raises(DataError, match=rf"^{folder}/a: the record at byte 21 is damaged"):
        records.read(np.array([1]))


def test_a_file_that_changes_during_training_is_an_error(folder):
    cut, removed = RecordFiles([f"{folder}/a"]), RecordFiles([f"{folder}/c"])
    os.truncate(folder / "a", 40)
    (folder / "c").unlink()

    with pytest.raises(DataError, match=rf"^{folder}/a: cut inside the record at byte 21"):
        cut.read(np.array([1]))
    with pytest.raises(DataError, match=rf"^{folder}/c: cannot be read \(No such file or directory\)"):
        removed.read(np.array([0]))


def test_only_local_files_are_read():
    tf.io.gfile.makedirs("ram://records")
    write("ram://records/a", [b"first"])

    with pytest.raises(DataError, match=r"^ram://records/a: training reads .* from local files; copy"):
        RecordFiles(["ram://records/*"])


@pytest.mark.parametrize("reader", ["ours", "TensorFlow's"])
def test_damage_that_tensorflow_reports_is_explained(folder, reader):
    records = RecordFiles([f"{folder}/*"])
    patch(folder / "a", 5 + FRAME + 12, b"S")
    if reader == "ours":
        numbers = tf.data.Dataset.range(5).batch(5)
        batches = numbers.map(lambda batch: tf.numpy_function(records.read, [batch], tf.string))
    else:
        batches = tf.data.TFRecordDataset([f"{folder}/a"])

    message = f"{folder}/a: the record at byte 21 is damaged: its checksum is wrong; ingest the data again"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"), explain_errors([f"{folder}/*"], 32):
        list(batches)


def test_other_errors_of_tensorflow_pass(drawn_examples):
    with (
        pytest.raises(tf.errors.InvalidArgumentError),
        explain_errors([f"{drawn_examples}/Split-*/*"], 32),
    ):
        tf.reshape(tf.zeros(3), (2, 2))


@pytest.mark.parametrize(
    "record, found",
    [
        (b"no example", "no image with a label"),
        (tf.train.Example().SerializeToString(), "no image with a label"),
        (features.encode(np.zeros((33, 33, 3), np.uint8), 0), "3,267 bytes, but an image has 3,072"),
    ],
    ids=["no example", "no image", "another size"],
)
def test_a_record_without_an_image_of_the_size_is_named(tmp_path, record, found):
    good = features.encode(np.zeros((32, 32, 3), np.uint8), 0)
    write(tmp_path / "a", [good, good])
    write(tmp_path / "b", [good, record])
    batches = tf.data.TFRecordDataset([f"{tmp_path}/a", f"{tmp_path}/b"]).batch(2)

    message = f"{tmp_path}/b: the record at byte {len(good) + FRAME} holds {found}; ingest the data again"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"), explain_errors([f"{tmp_path}/*"], 32):
        list(batches.map(lambda records: features.parse(records, 32)))
