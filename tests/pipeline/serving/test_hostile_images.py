"""Damaged, hostile and unusual images, classified by `shiftvit predict` and by the exported model."""

import contextlib
import io
import os
import struct
import zlib
from random import Random

import numpy as np
import pytest
import tensorflow as tf
from known_data import IMAGE_BYTES
from measured import run_measured
from PIL import Image

from pipeline.serving.predict import predict
from shiftvit import export
from shiftvit.errors import DataError
from shiftvit.features import IMAGE
from shiftvit.image_files import check_image, decode_image

COLOUR = (200, 100, 50)
CLASSES = ("red", "green", "blue")


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def plain(mode="RGB", colour=COLOUR, size=(40, 30)):
    return Image.new(mode, size, colour)


def noise(kind, **options):
    return encode(Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8)), kind, **options)


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, *chunks, depth=8, colour=2):
    """Returns a PNG with the given header fields, whatever its chunks contain."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def sized_jpeg(width, height):
    """Returns a small JPEG whose header claims another size."""
    content = bytearray(encode(plain(), "JPEG"))
    place = content.find(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def with_scans(count, size=(40, 30)):
    """Returns a progressive JPEG whose last scan is repeated `count` more times."""
    content = encode(plain(size=size), "JPEG", progressive=True)
    last = content[content.rfind(b"\xff\xda") : -2]
    return content[:-2] + last * count + content[-2:]


def compressed_bomb(width, height):
    """Returns a PNG of one colour, a few kilobytes of any size."""
    return encode(Image.new("1", (width, height)), "PNG")


PNG, JPEG = noise("PNG"), noise("JPEG")
ZEROS = chunk(b"IDAT", zlib.compress(bytes(1000)))
REJECTED = {
    "empty": b"",
    "text": b"no image at all",
    "a NUL": b"\0",
    "TIFF": encode(plain(), "TIFF"),
    "ICO": encode(plain(), "ICO"),
    "PPM": encode(plain(), "PPM"),
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "XML that names a file": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><svg>&b;</svg>",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    "archive": b"PK\x03\x04" + bytes(100),
    "a model": b"\x80\x02cos\nsystem\n(S'touch called'\ntR.",
    "PNG signature alone": PNG[:8],
    "PNG without a header": PNG[:8] + PNG[33:],
    "PNG cut in its header": PNG[:20],
    "PNG cut in its pixels": PNG[: len(PNG) // 2],
    "PNG without pixels": png(8, 8),
    "PNG of too few pixels": png(100, 100, ZEROS),
    "PNG of width 0": png(0, 8, ZEROS),
    "PNG of 2^31 x 2^31": png(2**31 - 1, 2**31 - 1, ZEROS),
    "PNG of 2^32 x 1": png(2**32 - 1, 1, ZEROS),
    "PNG of 65,537 x 65,537": png(65_537, 65_537, ZEROS),
    "PNG of 20,000 x 20,000": compressed_bomb(20_000, 20_000),
    "PNG of 8,000 x 4,001": compressed_bomb(8_000, 4_001),
    "PNG of no such depth": png(8, 8, ZEROS, depth=7),
    "PNG of no such colour": png(8, 8, ZEROS, colour=5),
    "PNG with another checksum": PNG[:-20] + b"\0" + PNG[-19:],
    "PNG with a chunk of 2 GB": PNG[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT" + PNG[41:],
    "JPEG marker alone": JPEG[:3],
    "JPEG cut in its header": JPEG[:100],
    "JPEG cut in its pixels": JPEG[: len(JPEG) // 2],
    "JPEG without tables": JPEG[:2] + JPEG[JPEG.find(b"\xff\xc0") :],
    "JPEG without a frame": JPEG[: JPEG.find(b"\xff\xc0")] + JPEG[JPEG.find(b"\xff\xda") :],
    "JPEG of 65,500 x 65,500": sized_jpeg(65_500, 65_500),
    "JPEG of 20,000 x 20,000": sized_jpeg(20_000, 20_000),
    "JPEG of width 0": sized_jpeg(0, 30),
    "JPEG of 1,000 scans": with_scans(1_000),
    "JPEG of 12 bits": JPEG.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c"),
    "JPEG of no such coding": JPEG.replace(b"\xff\xc0", b"\xff\xcb"),
}  # fmt: skip

UNUSUAL = {
    "plain": encode(plain(), "PNG"),
    "1 x 1": encode(plain(size=(1, 1)), "PNG"),
    "1 x 5,000": encode(plain(size=(1, 5_000)), "PNG"),
    "palette": encode(plain().quantize(4), "PNG"),
    "BMP": encode(plain(), "BMP"),
    "GIF": encode(plain(), "GIF"),
    "animated GIF": encode(plain(), "GIF", save_all=True, append_images=[plain(colour=(0, 0, 9))]),
    "WebP": encode(plain(), "WEBP", lossless=True),
    "animated PNG": encode(plain(), "PNG", save_all=True, append_images=[plain(colour=(0, 0, 9))]),
    "opaque alpha": encode(plain().convert("RGBA"), "PNG"),
    "16 bits a colour": png(
        40, 30, chunk(b"IDAT", zlib.compress((b"\0" + bytes(c for v in COLOUR for c in (v, 9)) * 40) * 30)), depth=16
    ),
    "CMYK": encode(plain().convert("CMYK"), "JPEG", quality=100),
    "progressive": encode(plain(), "JPEG", progressive=True, quality=100),
    "text after the end": encode(plain(), "PNG") + b"text",
}  # fmt: skip


class Mean(tf.keras.layers.Layer):
    """Logits by the mean of each colour channel."""

    def call(self, images):
        return tf.reduce_mean(tf.cast(images, tf.float32), axis=(1, 2)) / 25.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    images = tf.keras.Input((32, 32, 3), dtype=tf.uint8)
    folder = tmp_path_factory.mktemp("workspace") / "serving" / "shiftvit" / "7"
    server = export.ServingModule(tf.keras.Model(images, Mean()(images)), CLASSES, 32)
    signatures = {export.SERVING_DEFAULT: server.serve_images, export.SERVING_EXAMPLES: server.serve_examples}
    tf.saved_model.save(server, str(folder), signatures=signatures)
    return folder


@pytest.fixture(scope="module")
def signatures(folder):
    return tf.saved_model.load(str(folder)).signatures


@pytest.fixture(scope="module")
def classify(signatures):
    return lambda *files: signatures[export.SERVING_DEFAULT](image_bytes=tf.constant(list(files), tf.string))


@pytest.mark.parametrize("name", REJECTED)
def test_predict_raises_with_one_sentence(name, folder, tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(REJECTED[name])

    with pytest.raises(DataError) as caught:
        predict(folder, [path])

    message = str(caught.value)
    assert message.startswith(f"{path}: ") and message.isprintable() and len(message) < 500


def test_pixels_are_counted_before_they_are_decoded(tmp_path):
    """Decoding would fail first: the file lacks most of its pixels."""
    (tmp_path / "image.png").write_bytes(png(8_000, 4_001, ZEROS))

    with pytest.raises(DataError, match="more than 32,000,000 pixels; scale it down"):
        check_image(tmp_path / "image.png")


@pytest.mark.parametrize("name", [*REJECTED, "BMP", "GIF", "animated GIF", "WebP"])
def test_exported_model_raises(name, classify):
    with pytest.raises(tf.errors.InvalidArgumentError):
        classify(UNUSUAL["plain"], (REJECTED | UNUSUAL)[name])


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_image_is_decoded_with_its_colours(name, folder, tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(UNUSUAL[name])

    (prediction,) = predict(folder, [path])

    expected = np.exp(np.array(COLOUR) / 25.5)
    assert dict(prediction.top3) == pytest.approx(dict(zip(CLASSES, expected / expected.sum(), strict=True)), abs=0.02)


@pytest.mark.parametrize("original", [PNG, JPEG, with_scans(0)], ids=["PNG", "JPEG", "progressive"])
def test_mutated_image_is_rejected_or_classified(original, classify, tmp_path):
    path, rejected = tmp_path / "image.png", 0
    for seed in range(200):
        random = Random(seed)
        changed = bytearray(original)
        for _ in range(random.randint(1, 5)):
            changed[random.randrange(len(changed) if seed % 2 else 200)] = random.randrange(256)
        path.write_bytes(changed)
        try:
            decode_image(path, 32)
        except DataError as error:
            rejected += 1
            assert str(error).isprintable()
        with contextlib.suppress(tf.errors.InvalidArgumentError):
            assert classify(bytes(changed))["probabilities"].shape == (1, 3)
    assert rejected > 20


def example(*images, name=IMAGE):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=images))
    return tf.train.Example(features=tf.train.Features(feature={name: feature})).SerializeToString()


COMPLETE = example(bytes(IMAGE_BYTES))
BAD_RECORDS = {
    "garbage": [b"garbage"],
    "empty": [b""],
    "no image": [example(bytes(IMAGE_BYTES), name="picture")],
    "an image of no bytes": [example(b"")],
    "a byte less": [example(bytes(IMAGE_BYTES - 1))],
    "a byte more": [example(bytes(IMAGE_BYTES + 1))],
    "halves that make a whole": [example(bytes(IMAGE_BYTES // 2))] * 2,
    "two in one": [example(bytes(2 * IMAGE_BYTES))],
    "two values": [example(bytes(IMAGE_BYTES), bytes(IMAGE_BYTES))],
    "one of two bad": [COMPLETE, COMPLETE[:-1]],
    "of two sizes": [COMPLETE, example(bytes(2 * IMAGE_BYTES))],
    "100 MB": [bytes(100_000_000)],
    "an image of 100 MB": [example(bytes(100_000_000))],
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_bad_records_raise(name, signatures):
    # TensorFlow's message quotes the bad record, which Python fails to decode if it is not UTF-8.
    with pytest.raises((tf.errors.InvalidArgumentError, UnicodeDecodeError)):
        signatures[export.SERVING_EXAMPLES](examples=tf.constant(BAD_RECORDS[name]))


@pytest.mark.parametrize("name", [export.SERVING_DEFAULT, export.SERVING_EXAMPLES])
def test_empty_batch_returns_empty_outputs_and_other_types_raise(name, signatures):
    (key,) = signatures[name].structured_input_signature[1]

    outputs = signatures[name](**{key: tf.constant([], tf.string)})

    assert outputs["class_name"].shape == (0,) and outputs["probabilities"].shape == (0, 3)
    for wrong in (tf.constant([1]), tf.constant([0.5]), tf.zeros((1, 32, 32, 3), tf.uint8), tf.constant("scalar")):
        with pytest.raises((TypeError, tf.errors.InvalidArgumentError)):
            signatures[name](**{key: wrong})


def test_100_mb_of_garbage_raise(classify):
    for start in (b"", PNG[:33], JPEG[:400]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            classify(start.ljust(100_000_000, b"x"))


@pytest.mark.slow
def test_no_image_takes_a_gigabyte_or_half_a_minute_of_cpu_time(folder, tmp_path):
    """Through the command: hostile images, and the largest valid ones."""
    bad = {
        "scans.jpg": with_scans(3_000, (8_000, 3_990)),
        "bomb.png": compressed_bomb(20_000, 20_000),
    }
    good = {
        "text.png": png(8, 8, *[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50 << 20)))] * 4, ZEROS),
        "largest.png": encode(plain("RGBA", (*COLOUR, 7), (8_000, 4_000)), "PNG"),
        "largest.jpg": encode(plain(size=(8_000, 4_000)), "JPEG", progressive=True),
    }
    for name, content in (bad | good).items():
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "terabyte.png").open("wb") as file:
        file.write(PNG)
        file.truncate(1 << 40)
    os.mkfifo(tmp_path / "pipe.png")
    workspace = ["--workspace", str(folder.parents[2])]
    refused = [*bad, "terabyte.png", "pipe.png", ".", "/dev/zero"]

    done = run_measured(
        [*(["predict", name, *workspace] for name in refused), ["predict", *good, *good, *workspace]], tmp_path
    )

    assert done.exit_codes == [3] * len(refused) + [0] and len(done.errors) == len(refused)
    assert max(done.cpu_seconds) < 30 and done.peak_mb < 1024
