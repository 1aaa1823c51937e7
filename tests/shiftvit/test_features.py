import io

import numpy as np
import pytest
import tensorflow as tf
from known_data import IMAGE_BYTES, IMAGE_SHAPE
from PIL import Image

from shiftvit import features
from shiftvit.errors import ConfigError

RAW, JPEG = (8, 63, 64), (65, 96, 224, 512)  # sizes of images that are stored in each way


def smooth(size, count=2):
    """Returns images with the slow changes of photographs, no two alike."""
    ramp = np.linspace(0, 1, size)
    images = [
        np.stack([ramp * (120 + 9 * k) + ramp[:, None] * 100 + 8 * c for c in range(3)], -1) for k in range(count)
    ]
    return np.stack(images).astype(np.uint8)


def stored(image, label=0):
    """Returns the IMAGE feature of an image's record."""
    return tf.train.Example.FromString(features.encode(image, label)).features.feature["image"].bytes_list.value[0]


def jpeg(image, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("size", RAW)
def test_parse_inverts_encode(size):
    images = np.random.default_rng(0).integers(0, 256, (3, *features.image_shape(size)), np.uint8)
    records = [features.encode(image, label) for image, label in zip(images, (0, 5, 9), strict=True)]

    parsed, labels = features.parse(tf.constant(records), size)

    np.testing.assert_array_equal(parsed, images)
    assert labels.numpy().tolist() == [0, 5, 9] and labels.dtype == tf.int64


@pytest.mark.parametrize("size", JPEG)
def test_parse_inverts_encode_closely_above_64_pixels(size):
    images = smooth(size)
    records = [features.encode(image, label) for image, label in zip(images, (3, 299), strict=True)]

    parsed, labels = features.parse(tf.constant(records), size)

    assert parsed.shape == images.shape and parsed.dtype == tf.uint8
    assert np.abs(parsed.numpy().astype(int) - images).max() <= 3
    assert labels.numpy().tolist() == [3, 299]
    assert records == [features.encode(image, label) for image, label in zip(images, (3, 299), strict=True)]


def test_a_record_holds_raw_rgb_pixels_in_row_major_order():
    image = np.arange(IMAGE_BYTES, dtype=np.int64).astype(np.uint8).reshape(IMAGE_SHAPE)

    record = tf.train.Example.FromString(features.encode(image, 3)).features.feature

    assert set(record) == {"image", "label"}
    assert record["image"].bytes_list.value == [bytes(k % 256 for k in range(3072))]
    assert record["label"].int64_list.value == [3]


@pytest.mark.parametrize("size", [65, 96])
def test_a_record_of_more_than_64_pixels_holds_a_jpeg_of_quality_95(size):
    image = smooth(size)[0]

    with Image.open(io.BytesIO(stored(image))) as ours, Image.open(io.BytesIO(jpeg(image, quality=95))) as reference:
        assert (ours.format, ours.size, ours.mode, ours.info.get("progressive")) == ("JPEG", (size, size), "RGB", None)
        assert ours.quantization == reference.quantization
        assert [component[1:3] for component in ours.layer] == [(1, 1)] * 3, "no chroma subsampling"


def test_an_edge_between_colours_stays_sharp():
    """Halved chroma, as JPEG's default is, would mix red and blue over two pixels, here up to 100 off."""
    image = np.zeros((96, 96, 3), np.uint8)
    image[:, :43, 0] = image[:, 43:, 2] = 255

    decoded = features.decode_images(tf.constant([stored(image)]), 96)[0]

    assert np.abs(decoded.numpy().astype(int) - image).max() <= 24
    [halved] = features.decode_images(tf.constant([jpeg(image, quality=95)]), 96).numpy().astype(int)
    assert np.abs(halved - image).max() > 60


def test_decoding_is_exact():
    """As Pillow decodes; TensorFlow's default may be faster and rounds otherwise, by platform."""
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)

    [decoded] = features.decode_images(tf.constant([stored(image)]), 96).numpy()

    with Image.open(io.BytesIO(stored(image))) as reference:
        np.testing.assert_array_equal(decoded, reference)


@pytest.mark.parametrize("size", [*RAW, 65])
def test_serialize_equals_encode(size):
    images = np.random.default_rng(0).integers(0, 256, (6, *features.image_shape(size)), np.uint8)
    images[0], images[1] = 0, 255  # images that could be mistaken for a part of the frame
    labels = np.array([0, 1, 127, 128, 299, 2**40])
    expected = [features.encode(image, label) for image, label in zip(images, labels.tolist(), strict=True)]

    assert features.serialize(images, labels) == expected
    assert features.serialize(images[:2], np.array([7, 200], np.uint8))[1] == features.encode(images[1], 200)


@pytest.mark.parametrize("size", [*RAW, *JPEG])
def test_stored_bytes_are_an_upper_estimate(size):
    [record] = features.serialize(smooth(size, 1), np.array([2**40]))

    assert len(record) + 16 <= features.stored_bytes(size)
    if size in RAW:
        assert features.stored_bytes(size) < len(record) + 32


@pytest.mark.parametrize("size", [*RAW, *JPEG])
def test_the_size_of_a_record_can_be_read_from_it(size):
    assert features.stored_size(features.encode(smooth(size)[0], 0)) == size


@pytest.mark.parametrize("count", [0, IMAGE_BYTES - 1, IMAGE_BYTES + 1, 2 * IMAGE_BYTES])
def test_an_image_of_another_size_is_refused(count):
    with pytest.raises(tf.errors.InvalidArgumentError):
        features.decode_images(tf.constant([b"\0" * count]), 32)
    assert features.image_error(b"\0" * count, 32) == f"{count:,} bytes, but an image has 3,072"


IMAGE = smooth(96)[0]
NO_JPEG = "bytes that are no JPEG, or a damaged one"


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", f"0 {NO_JPEG}"),
        (b"\0" * 27648, f"27,648 {NO_JPEG}"),
        (stored(IMAGE)[:-40], NO_JPEG),
        (stored(smooth(80)[0]), "a JPEG of 80 x 80 pixels, but an image has 96 x 96"),
        (jpeg(IMAGE[:80]), "a JPEG of 96 x 80 pixels, but an image has 96 x 96"),
        (jpeg(IMAGE[..., 0]), NO_JPEG),
        (jpeg(IMAGE, progressive=True), NO_JPEG),  # its many scans could each cost a pass over the image
        (tf.io.encode_png(IMAGE).numpy(), NO_JPEG),
    ],
    ids=["nothing", "raw pixels", "cut", "smaller", "not square", "grey", "progressive", "PNG"],
)
def test_what_is_no_jpeg_of_the_size_is_refused(content, reason):
    with pytest.raises(tf.errors.InvalidArgumentError):
        features.decode_images(tf.constant([stored(IMAGE), content]), 96)
    assert features.image_error(content, 96).endswith(reason)
    assert features.image_error(stored(IMAGE), 96) is None


def test_a_jpeg_that_claims_to_be_huge_is_refused_before_it_is_decoded():
    content = bytearray(stored(IMAGE))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = b"\xff\xdc\xff\xdc"  # 65,500 pixels a side, 12.9 GB

    assert features.image_error(bytes(content), 96) is not None


def test_sizes_that_cannot_be_stored_are_refused():
    for size in (8, 512):
        features.check_size(size, "data.image_size")
    for size in (7, 513):
        with pytest.raises(ConfigError, match=rf"^data\.image_size={size} must be from 8 to 512, in pixels a side$"):
            features.check_size(size, "data.image_size")
