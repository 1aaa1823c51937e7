import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from photos import TURNED, encode, exif, turned
from PIL import Image

from shiftvit.errors import DataError
from shiftvit.pixels import decode

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.integers(0, 256, (32, 32, 3), np.uint8)
COLOUR, WHITE = (200, 100, 50), (255, 255, 255)


def colour_of(data):
    """Returns the colour of the first pixel."""
    return tuple(decode(data, 8)[0, 0].tolist())


def plain(mode, colour, size=(8, 8)):
    return Image.new(mode, size, colour)


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(depth, colour, row, *chunks):
    """Returns a PNG of 8 x 8 pixels with these bytes in each row."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + row) * 8))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_an_image_of_the_wanted_size_is_unchanged(kind, resize):
    np.testing.assert_array_equal(decode(encode(NOISE, kind, lossless=True), 32, resize), NOISE)


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_turned_photo_has_the_pixels_of_the_upright_one(kind, orientation):
    photo = RANDOM.integers(0, 256, (60, 80, 3), np.uint8)

    pixels = decode(turned(photo, orientation, kind, lossless=True), 32)

    np.testing.assert_array_equal(pixels, decode(encode(photo), 32))


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("length", [64, 960], ids=["small", "decoded at a fraction of its size"])
def test_turned_jpegs_are_upright(orientation, length):
    """JPEG loses detail, which differs by the direction of a row: a smooth image stays within 4 of 255."""
    rows, columns = np.mgrid[0:length, 0:length].astype(np.float32) * (255 / length)
    photo = np.stack([rows, columns, (rows + columns) / 2], -1).astype(np.uint8)

    pixels = decode(turned(photo, orientation, "JPEG", quality=95), 32)

    np.testing.assert_allclose(pixels.astype(int), decode(encode(photo), 32).astype(int), atol=4)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encode(plain("RGBA", (*COLOUR, 0))), WHITE),
        (encode(plain("RGBA", (0, 0, 0, 51))), (204, 204, 204)),
        (encode(plain("RGBA", (*COLOUR, 255))), COLOUR),
        (encode(plain("RGBA", (0, 0, 0, 51)), "WEBP", lossless=True, exact=True), (204, 204, 204)),
        (encode(plain("LA", (0, 51))), (204, 204, 204)),
        (encode(plain("RGB", COLOUR), transparency=COLOUR), WHITE),
        (encode(plain("RGB", COLOUR), transparency=(200, 100, 51)), COLOUR),
        (encode(plain("L", 77), transparency=77), WHITE),
        (encode(plain("L", 77), transparency=78), (77, 77, 77)),
        (encode(plain("1", 0), transparency=0), WHITE),
        (encode(plain("1", 0), transparency=1), (0, 0, 0)),
        (encode(plain("RGB", COLOUR).quantize(4), transparency=0), WHITE),
        (encode(plain("RGB", (0, 0, 0)).quantize(4), transparency=b"\x33"), (204, 204, 204)),
        (encode(plain("RGB", COLOUR).quantize(4), "GIF", transparency=0), WHITE),
        (png(2, 0, b"\x55\x55", chunk(b"tRNS", b"\0\1")), WHITE),
        (png(2, 0, b"\x55\x55", chunk(b"tRNS", b"\0\2")), (85, 85, 85)),
        (png(4, 0, b"\x33\x33\x33\x33", chunk(b"tRNS", b"\0\3")), WHITE),
        (png(16, 0, b"\x12\x34" * 8, chunk(b"tRNS", b"\x12\x34")), WHITE),
        (png(16, 0, b"\x12\x34" * 8, chunk(b"tRNS", b"\x12\x35")), (0x12, 0x12, 0x12)),
        (png(16, 2, b"\xc8\1\x64\1\x32\1" * 8, chunk(b"tRNS", b"\xc8\1\x64\1\x32\1")), WHITE),
        (png(16, 4, b"\0\0\x33\x33" * 8), (204, 204, 204)),
    ],
)
def test_transparent_images_lie_on_white(data, expected):
    assert colour_of(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(16, 0, b"\xff\xff" * 8), WHITE),
        (png(16, 0, b"\x80\x00" * 8), (128, 128, 128)),
        (png(16, 2, b"\xc8\1\x64\1\x32\1" * 8), COLOUR),
        (encode(plain("L", 77)), (77, 77, 77)),
        (encode(plain("L", 77), "JPEG"), (77, 77, 77)),
        (encode(plain("1", 1)), WHITE),
        (encode(plain("1", 1), "BMP"), WHITE),
        (encode(plain("RGB", COLOUR).quantize(4)), COLOUR),
        (encode(plain("RGB", COLOUR).quantize(4), "BMP"), COLOUR),
        (encode(plain("RGB", COLOUR), "GIF"), COLOUR),
        (encode(plain("RGB", COLOUR), "GIF", save_all=True, append_images=[plain("RGB", (0, 0, 9))]), COLOUR),
        (encode(plain("RGB", COLOUR), "WEBP", lossless=True), COLOUR),
        (encode(plain("CMYK", (0, 0, 0, 255)), "JPEG"), (0, 0, 0)),
        (encode(plain("CMYK", (0, 0, 0, 0)), "JPEG"), WHITE),
    ],
)
def test_every_mode_becomes_rgb(data, expected):
    assert colour_of(data) == expected


def test_crop_pad_and_stretch():
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, :20], wide[:, 20:40], wide[:, 40:] = (250, 0, 0), (0, 250, 0), (0, 0, 250)

    cropped, padded, stretched = (decode(encode(wide), 30, resize) for resize in ("crop", "pad", "stretch"))

    assert cropped.shape == padded.shape == stretched.shape == (30, 30, 3)
    assert (cropped[:, 2:-2] == (0, 250, 0)).all()
    assert (padded[:10] == 0).all() and (padded[20:] == 0).all() and padded[10:20].any(-1).all()
    assert (stretched[:, 0] == (250, 0, 0)).all() and (stretched[:, -1] == (0, 0, 250)).all()


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)])
def test_extreme_shapes(size, resize):
    assert decode(encode(plain("RGB", COLOUR, size)), 32, resize).max() == 200


def test_downscaling_is_antialiased():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[3::8] = stripes[4::8] = 200  # the two rows of every eight that resizing without antialiasing would read

    small = decode(encode(stripes), 32)

    assert small[1:-1].min() > 30 and small[1:-1].max() < 80


def test_a_gif_is_white_around_a_first_frame_that_is_smaller():
    red = bytearray(encode(plain("RGB", (255, 0, 0), (10, 10)), "GIF"))
    struct.pack_into("<HH", red, 6, 20, 20)
    struct.pack_into("<HHHH", red, red.index(b",", 13) + 1, 5, 4, 10, 10)

    pixels = decode(bytes(red), 20)

    expected = np.full((20, 20, 3), 255)
    expected[4:14, 5:15] = (255, 0, 0)
    np.testing.assert_array_equal(pixels, expected)


JPEG, PNG, GIF = (encode(NOISE, kind) for kind in ("JPEG", "PNG", "GIF"))
GIF_BLOCKS = 13 + (3 << (GIF[10] & 7) + 1)
HARMLESS = {
    "stray bytes before a marker": (JPEG, JPEG[:20] + b"\0\x11\xff\0" + JPEG[20:]),
    "fill bytes": (JPEG, JPEG[:20] + b"\xff" * 9 + JPEG[20:]),
    "bytes after a JPEG": (JPEG, JPEG + b"\xff\xda" * 500),
    "bytes after a PNG": (PNG, PNG + b"text"),
    "a PNG cut in its end": (PNG, PNG[:-3]),
    "a cut colour profile in a JPEG": (JPEG, JPEG[:20] + b"\xff\xe2\0\x13ICC_PROFILE\0\1\2abc" + JPEG[20:]),
    "a cut colour profile in a PNG": (PNG, PNG[:33] + chunk(b"iCCP", b"a\0\0x") + PNG[33:]),
    "a wrong checksum of text": (PNG, PNG[:33] + chunk(b"tEXt", b"a\0b")[:-1] + b"\0" + PNG[33:]),
    "cut EXIF": (JPEG, JPEG[:20] + b"\xff\xe1\0\x10Exif\0\0II*\0\x08\0\0\0" + JPEG[20:]),
    "EXIF that claims 65,535 entries": (PNG, PNG[:33] + chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff\0") + PNG[33:]),
    "orientation 9": (PNG, encode(NOISE, exif=exif(9))),
    "a broken multi-picture index": (JPEG, JPEG[:20] + b"\xff\xe2\0\x0eMPF\0II*\0\xff\xff\xff\xff" + JPEG[20:]),
    "a broken animation": (PNG, PNG[:33] + chunk(b"acTL", b"\xff" * 8) + chunk(b"fcTL", b"") + PNG[33:]),
    "text that unpacks to 200 MB": (
        PNG,
        PNG[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50 << 20))) * 4 + PNG[33:],
    ),
    "a colour profile that unpacks to 50 MB": (
        PNG,
        PNG[:33] + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50 << 20))) + PNG[33:],
    ),
    "a second header of 20,000 x 20,000": (
        PNG,
        PNG[:33] + chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)) + PNG[33:],
    ),
    "a comment of 30 MB": (
        GIF,
        GIF[:GIF_BLOCKS] + b"!\xfe" + (b"\xff" + b"x" * 255) * 120_000 + b"\0" + GIF[GIF_BLOCKS:],
    ),
}

DECODE = """
import sys
import numpy as np
from shiftvit.pixels import decode
with np.load(sys.argv[1]) as files:
    for name in files:
        decode(files[name].tobytes(), 32)
"""


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_damage_changes_nothing(name):
    original, changed = HARMLESS[name]

    np.testing.assert_array_equal(decode(changed, 32), decode(original, 32))


def test_harmless_damage_prints_nothing(tmp_path):
    np.savez(tmp_path / "files.npz", *(np.frombuffer(changed, np.uint8) for _, changed in HARMLESS.values()))

    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", DECODE, str(tmp_path / "files.npz")], capture_output=True, text=True
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def bmp(width, height, bits=24, compression=0):
    header = struct.pack("<IiiHHIIIIII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54) + header + bytes(2000)


REFUSED = {
    "BMP of 2^31 x 2^31": (bmp(2**31 - 1, 2**31 - 1), "more than 32,000,000 pixels"),
    "BMP of negative width": (bmp(-8, 8), "more than 32,000,000 pixels"),
    "BMP with run lengths": (bmp(8, 8, 8, 1), "a BMP with run-length encoding; save it as a PNG"),
    "GIF of 65,535 x 65,535": (GIF[:6] + b"\xff" * 4 + GIF[10:], "more than 32,000,000 pixels"),
    "GIF of two-byte blocks": (GIF[:GIF_BLOCKS] + b"!\xfe" + b"\1x" * 300_000, "more than 200,000 blocks"),
    "GIF without a frame": (GIF[:GIF_BLOCKS] + b";", "a damaged GIF image"),
    "WebP of 2^24 x 2^24": (
        b"RIFF\0\0\1\0WEBPVP8X\x0a\0\0\0\x10\0\0\0" + b"\xff" * 6 + bytes(99),
        "more than 32,000,000 pixels",
    ),
    "lossless WebP of 16,384 x 16,384": (
        b"RIFF\0\0\1\0WEBPVP8L\x0a\0\0\0\x2f\xff\xff\xff\x0f" + bytes(99),
        "more than 32,000,000 pixels",
    ),
    "lossy WebP of 16,383 x 16,383": (
        b"RIFF\0\0\1\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(99),
        "more than 32,000,000 pixels",
    ),
    "WebP cut in its pixels": (encode(NOISE, "WEBP")[:-200], "a damaged WEBP image"),
    "JPEG of 300,000 segments": (JPEG[:2] + b"\xff\xe5\0\2" * 300_000 + JPEG[2:], "more than 200,000 blocks"),
    "JPEG of two frames": (
        JPEG[:20] + b"\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x22\0\2\x11\1\3\x11\1" + JPEG[20:],
        "JPEG",
    ),
    "TIFF": (encode(NOISE, "TIFF"), "not a PNG, JPEG, BMP, GIF or WebP image"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "not a PNG, JPEG, BMP, GIF or WebP image"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_files(name):
    data, reason = REFUSED[name]

    with pytest.raises(DataError, match=reason) as caught:
        decode(data, 32)

    assert str(caught.value).isprintable() and len(str(caught.value)) < 200
