"""Images that are damaged, hostile or merely unusual, through `shiftvit predict` and through the exported model."""

import contextlib
import io
import os
import struct
import zlib
from random import Random

import numpy as np
import pytest
import tensorflow as tf
from measured import run_measured
from PIL import Image

from pipeline.serving.predict import check_image, predict
from shiftvit import export
from shiftvit.errors import DataError
from shiftvit.features import IMAGE, IMAGE_BYTES

COLOUR = (200, 100, 50)
CLASSES = ("red", "green", "blue")


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def plain(mode="RGB", colour=COLOUR, size=(40, 30)):
    return Image.new(mode, size, colour)


def noise(kind, **options):
    return saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8)), kind, **options)


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, *chunks, depth=8, colour=2):
    """Returns a PNG that says of itself what is given, whatever its chunks hold."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def sized_jpeg(width, height):
    """Returns a small JPEG that says it is larger."""
    content = bytearray(saved(plain(), "JPEG"))
    place = content.find(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def with_scans(count, size=(40, 30)):
    """Returns a progressive JPEG whose last scan is there so many times more."""
    content = saved(plain(size=size), "JPEG", progressive=True)
    last = content[content.rfind(b"\xff\xda") : -2]
    return content[:-2] + last * count + content[-2:]


def flat(width, height):
    """Returns a PNG of one colour in a few kilobytes."""
    return saved(Image.new("1", (width, height)), "PNG")


PNG, JPEG = noise("PNG"), noise("JPEG")
ZEROS = chunk(b"IDAT", zlib.compress(bytes(1000)))
REFUSED = {
    "empty": b"",
    "text": b"no image at all",
    "a NUL": b"\0",
    "GIF": saved(plain(), "GIF"),
    "animated GIF": saved(plain(), "GIF", save_all=True, append_images=[plain(colour=(0, 0, 9))]),
    "BMP": saved(plain(), "BMP"),
    "TIFF": saved(plain(), "TIFF"),
    "ICO": saved(plain(), "ICO"),
    "PPM": saved(plain(), "PPM"),
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "XML that names a file": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><svg>&b;</svg>",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    "archive": b"PK\x03\x04" + bytes(100),
    "a model": b"\x80\x02cos\nsystem\n(S'touch called'\ntR.",
    "PNG mark alone": PNG[:8],
    "PNG without a header": PNG[:8] + PNG[33:],
    "PNG cut in its header": PNG[:20],
    "PNG cut in its pixels": PNG[: len(PNG) // 2],
    "PNG without pixels": png(8, 8),
    "PNG of too few pixels": png(100, 100, ZEROS),
    "PNG of width 0": png(0, 8, ZEROS),
    "PNG of 2^31 x 2^31": png(2**31 - 1, 2**31 - 1, ZEROS),
    "PNG of 2^32 x 1": png(2**32 - 1, 1, ZEROS),
    "PNG of 65,537 x 65,537": png(65_537, 65_537, ZEROS),
    "PNG of 20,000 x 20,000": flat(20_000, 20_000),
    "PNG of 8,000 x 4,001": flat(8_000, 4_001),
    "PNG of no such depth": png(8, 8, ZEROS, depth=7),
    "PNG of no such colour": png(8, 8, ZEROS, colour=5),
    "PNG with another checksum": PNG[:-20] + b"\0" + PNG[-19:],
    "PNG with a chunk of 2 GB": PNG[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT" + PNG[41:],
    "JPEG mark alone": JPEG[:3],
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
    "plain": saved(plain(), "PNG"),
    "1 x 1": saved(plain(size=(1, 1)), "PNG"),
    "1 x 5,000": saved(plain(size=(1, 5_000)), "PNG"),
    "palette": saved(plain().quantize(4), "PNG"),
    "palette, transparent": saved(plain().quantize(4), "PNG", transparency=0),
    "alpha": saved(plain("RGBA", (*COLOUR, 0)), "PNG"),
    "animated PNG": saved(plain(), "PNG", save_all=True, append_images=[plain(colour=(0, 0, 9))]),
    "opaque alpha": saved(plain().convert("RGBA"), "PNG"),
    "16 bits a colour": png(
        40, 30, chunk(b"IDAT", zlib.compress((b"\0" + bytes(c for v in COLOUR for c in (v, 9)) * 40) * 30)), depth=16
    ),
    "CMYK": saved(plain().convert("CMYK"), "JPEG", quality=100),
    "progressive": saved(plain(), "JPEG", progressive=True, quality=100),
    "text after the end": saved(plain(), "PNG") + b"text",
}  # fmt: skip


class Mean(tf.keras.layers.Layer):
    """Logits by the mean of each colour channel."""

    def call(self, images):
        return tf.reduce_mean(tf.cast(images, tf.float32), axis=(1, 2)) / 25.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    images = tf.keras.Input((32, 32, 3), dtype=tf.uint8)
    folder = tmp_path_factory.mktemp("workspace") / "serving" / "shiftvit" / "7"
    server = export.ServingModule(tf.keras.Model(images, Mean()(images)), CLASSES)
    signatures = {export.SERVING_DEFAULT: server.serve_images, export.SERVING_EXAMPLES: server.serve_examples}
    tf.saved_model.save(server, str(folder), signatures=signatures)
    return folder


@pytest.fixture(scope="module")
def signatures(folder):
    return tf.saved_model.load(str(folder)).signatures


@pytest.fixture(scope="module")
def ask(signatures):
    return lambda *files: signatures[export.SERVING_DEFAULT](image_bytes=tf.constant(list(files), tf.string))


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_a_sentence(name, folder, tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(REFUSED[name])

    with pytest.raises(DataError) as caught:
        predict(folder, [path])

    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ") and sentence.isprintable() and len(sentence) < 500


def test_too_many_pixels_are_told_before_they_are_decoded(tmp_path):
    """Else it were told that they are not there."""
    (tmp_path / "image.png").write_bytes(png(8_000, 4_001, ZEROS))

    with pytest.raises(DataError, match="more than 32,000,000 pixels; scale it down"):
        check_image(tmp_path / "image.png")


@pytest.mark.parametrize("name", REFUSED)
def test_the_model_answers_it_with_an_error(name, ask):
    with pytest.raises(tf.errors.InvalidArgumentError):
        ask(UNUSUAL["plain"], REFUSED[name])


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_merely_unusual_is_seen_in_its_colours(name, folder, tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(UNUSUAL[name])

    (answer,) = predict(folder, [path])

    expected = np.exp(np.array(COLOUR) / 25.5)
    assert dict(answer.top3) == pytest.approx(dict(zip(CLASSES, expected / expected.sum(), strict=True)), abs=0.02)


@pytest.mark.parametrize("whole", [PNG, JPEG, with_scans(0)], ids=["PNG", "JPEG", "progressive"])
def test_a_mutated_image_is_refused_or_answered(whole, ask, tmp_path):
    path, refused = tmp_path / "image.png", 0
    for seed in range(200):
        random = Random(seed)
        changed = bytearray(whole)
        for _ in range(random.randint(1, 5)):
            changed[random.randrange(len(changed) if seed % 2 else 200)] = random.randrange(256)
        path.write_bytes(changed)
        try:
            check_image(path)
        except DataError as error:
            refused += 1
            assert str(error).isprintable()
        with contextlib.suppress(tf.errors.InvalidArgumentError):
            assert ask(bytes(changed))["probabilities"].shape == (1, 3)
    assert refused > 20


def example(*images, name=IMAGE):
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=images))
    return tf.train.Example(features=tf.train.Features(feature={name: feature})).SerializeToString()


WHOLE = example(bytes(IMAGE_BYTES))
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
    "one of two bad": [WHOLE, WHOLE[:-1]],
    "of two sizes": [WHOLE, example(bytes(2 * IMAGE_BYTES))],
    "100 MB": [bytes(100_000_000)],
    "an image of 100 MB": [example(bytes(100_000_000))],
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_bad_records_are_answered_with_an_error(name, signatures):
    # TensorFlow's message quotes what is no record, and Python stumbles where that is no text either.
    with pytest.raises((tf.errors.InvalidArgumentError, UnicodeDecodeError)):
        signatures[export.SERVING_EXAMPLES](examples=tf.constant(BAD_RECORDS[name]))


@pytest.mark.parametrize("name", [export.SERVING_DEFAULT, export.SERVING_EXAMPLES])
def test_an_empty_request_has_an_empty_answer_and_another_type_is_an_error(name, signatures):
    (key,) = signatures[name].structured_input_signature[1]

    answer = signatures[name](**{key: tf.constant([], tf.string)})

    assert answer["class_name"].shape == (0,) and answer["probabilities"].shape == (0, 3)
    for wrong in (tf.constant([1]), tf.constant([0.5]), tf.zeros((1, 32, 32, 3), tf.uint8), tf.constant("scalar")):
        with pytest.raises((TypeError, tf.errors.InvalidArgumentError)):
            signatures[name](**{key: wrong})


def test_100_mb_that_are_no_image_are_answered_with_an_error(ask):
    for start in (b"", PNG[:33], JPEG[:400]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            ask(start.ljust(100_000_000, b"x"))


@pytest.mark.slow
def test_none_takes_a_gigabyte_or_ten_seconds(folder, tmp_path):
    """By the command itself: what is refused, and the largest that is not."""
    bad = {
        "scans.jpg": with_scans(3_000, (8_000, 3_990)),
        "bomb.png": flat(20_000, 20_000),
        "text.png": png(8, 8, *[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50 << 20)))] * 4, ZEROS),
    }
    good = {
        "largest.png": saved(plain("RGBA", (*COLOUR, 7), (8_000, 4_000)), "PNG"),
        "largest.jpg": saved(plain(size=(8_000, 4_000)), "JPEG", progressive=True),
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

    assert done.exit_codes == [3] * len(refused) + [0] and len(done.sentences) == len(refused)
    assert max(done.cpu_seconds) < 10 and done.peak_mb < 1024
