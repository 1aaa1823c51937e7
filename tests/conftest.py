import json
import os

import pytest

# Before TensorFlow is imported: its chatter would drown a failure.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def drawn_examples(tmp_path_factory):
    """The folder of an Examples artifact: drawn records, 256 in split train and 50 in eval, in two files each."""
    import tensorflow as tf

    from pipeline import shapes
    from shiftvit import features

    folder = tmp_path_factory.mktemp("drawn_examples")
    for split, count in ((features.TRAIN, 256), (features.EVAL, 50)):
        (folder / f"Split-{split}").mkdir()
        drawn = zip(*shapes.draw(count, 0, split), strict=True)
        records = [features.encode(image, int(label)) for image, label in drawn]
        for number, part in enumerate((records[: count // 3], records[count // 3 :])):
            with tf.io.TFRecordWriter(f"{folder}/Split-{split}/data_tfrecord-{number:05d}-of-00002") as writer:
                for record in part:
                    writer.write(record)
    (folder / features.CLASS_NAMES_FILE).write_text(json.dumps(shapes.CLASS_NAMES))
    return folder
