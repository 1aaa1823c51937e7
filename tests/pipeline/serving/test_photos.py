"""Photos get the same answer from `shiftvit predict` and the server, whichever way the camera was held."""

import numpy as np
import pytest
from photos import TURNED, encode, turned
from PIL import Image
from servers import COLOURS, b64

from pipeline.serving.predict import predict

PHOTO = np.empty((60, 90, 3), np.uint8)
PHOTO[:30], PHOTO[30:] = (250, 40, 10), (10, 40, 250)


def ask_server(server, *files):
    """Returns the class ids and probabilities."""
    rows = server.post({"instances": [b64(file) for file in files]}).json()["predictions"]
    return [row["class_id"] for row in rows], [row["probabilities"] for row in rows]


def test_server_answers_for_the_upright_photo(server):
    ids, probabilities = ask_server(server, *(turned(PHOTO, orientation) for orientation in TURNED))

    assert ids == [0] * 8 and probabilities == probabilities[:1] * 8


def test_predict_answers_as_the_server_does(server, english, tmp_path):
    files = [turned(PHOTO, orientation) for orientation in TURNED]
    paths = [tmp_path / f"{number}.png" for number in range(len(files))]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file)

    answers = predict(english, paths)

    _, probabilities = ask_server(server, *files)
    expected = [dict(zip(COLOURS, row, strict=True)) for row in probabilities]
    assert [dict(answer.top3) for answer in answers] == expected and expected == expected[:1] * 8


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_server_reads_the_format(server, kind):
    image = Image.new("RGB", (50, 40), COLOURS["green"])

    assert ask_server(server, encode(image, kind))[0] == [1]


def test_large_photos_are_decoded_in_threads(server):
    files = [encode(Image.new("RGB", (1000, 800), COLOURS[colour]), "JPEG") for colour in ("red", "blue", "green")]

    assert ask_server(server, *files)[0] == [0, 2, 1]


def test_a_damaged_photo_among_large_ones_is_named(server):
    file = encode(Image.new("RGB", (1000, 800), COLOURS["red"]), "JPEG")

    reply = server.post({"instances": [b64(file), b64(file[: len(file) // 2]), b64(file)]})

    assert reply.status_code == 400
    assert reply.json()["error"].startswith("instances[1]: a damaged JPEG image (")
