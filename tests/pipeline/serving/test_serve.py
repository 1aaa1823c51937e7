"""Requests to a running server, in the format of TensorFlow Serving's REST API."""

import concurrent.futures
import gzip
import re
import socket

import numpy as np
import pytest
import tensorflow as tf
from known_data import IMAGE_SHAPE
from servers import COLOURS, ENGLISH, GERMAN, PREDICT, RED, b64, png
from waiting import HANG_SECONDS

from shiftvit import features
from shiftvit.export import SERVING_EXAMPLES

EITHER_NAME = {
    colour: {colour, GERMAN[ENGLISH.index(colour)]} for colour in COLOURS
}  # of the English or the German model


def example(colour):
    return features.encode(np.full(IMAGE_SHAPE, COLOURS[colour], np.uint8), 0)


def test_predict_rows(server, english):
    reply = server.post({"instances": [b64(png("blue")), {"image_bytes": b64(png("red", (50, 90)))}]})

    expected = tf.saved_model.load(str(english)).signatures["serving_default"](
        image_bytes=tf.constant([png("blue"), png("red")])
    )
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/json")
    assert list(reply.json()) == ["predictions"]
    blue, red = reply.json()["predictions"]
    assert set(blue) == set(red) == {"class_name", "class_id", "probabilities"}
    assert (blue["class_id"], red["class_id"]) == (2, 0)
    assert blue["class_name"] in EITHER_NAME["blue"] and red["class_name"] in EITHER_NAME["red"]
    np.testing.assert_array_equal(
        np.array([blue["probabilities"], red["probabilities"]], np.float32), expected["probabilities"].numpy()
    )


@pytest.mark.parametrize("named", [True, False])
def test_predict_columns(server, named):
    column = [b64(png("green")), b64(png("red"))]
    reply = server.post({"inputs": {"image_bytes": column} if named else column})

    assert reply.status_code == 200 and list(reply.json()) == ["outputs"]
    outputs = reply.json()["outputs"]
    assert outputs["class_id"] == [1, 0] and np.shape(outputs["probabilities"]) == (2, 3)
    assert outputs["class_name"][0] in EITHER_NAME["green"]


def test_predict_records(server):
    reply = server.post({"signature_name": SERVING_EXAMPLES, "instances": [b64(example("blue")), b64(example("red"))]})

    assert [row["class_id"] for row in reply.json()["predictions"]] == [2, 0]


def test_base64_padding_is_optional_as_in_tensorflow_serving(server):
    images = [png("red", (32, width)) for width in range(30, 60)]
    texts = [b64(image)["b64"] for image in images]
    assert {text.count("=") for text in texts} == {0, 1, 2}

    reply = server.post({"instances": [{"b64": text.rstrip("=")} for text in texts]})

    assert {row["class_id"] for row in reply.json()["predictions"]} == {0}


def test_request_larger_than_a_batch_is_split(server):
    colours = [ENGLISH[index % 3] for index in range(40)]
    reply = server.post({"instances": [b64(png(colour)) for colour in colours]})

    assert [ENGLISH[row["class_id"]] for row in reply.json()["predictions"]] == colours
    assert server.metric('shiftvit_batch_images_bucket{le="16.0"}') == server.metric("shiftvit_batch_images_count")


def test_only_the_served_version_can_be_named(server):
    version = server.version()

    assert server.post(RED, f"/v1/models/shiftvit/versions/{version}:predict").status_code == 200
    reply = server.post(RED, f"/v1/models/shiftvit/versions/{version + 1}:predict")
    assert reply.status_code == 404
    assert reply.json() == {
        "error": f"version {version + 1} is not served; the served version is {version}, the newest"
    }


def test_status(server):
    version = server.version()
    available = {"version": str(version), "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}

    assert server.get("/v1/models/shiftvit").json() == {"model_version_status": [available]}
    assert server.get(f"/v1/models/shiftvit/versions/{version}").json() == {"model_version_status": [available]}
    assert server.get("/v1/models/shiftvit/versions/999").status_code == 404


def test_metadata(server):
    reply = server.get("/v1/models/shiftvit/metadata").json()

    assert reply["model_spec"] == {"name": "shiftvit", "signature_name": "", "version": str(server.version())}
    signatures = reply["metadata"]["signature_def"]["signature_def"]
    images, records = signatures["serving_default"], signatures[SERVING_EXAMPLES]
    strings = {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}}
    assert images["inputs"] == {"image_bytes": {**strings, "name": "serving_default_image_bytes:0"}}
    assert records["inputs"] == {"examples": {**strings, "name": "serving_examples_examples:0"}}
    assert images["method_name"] == "tensorflow/serving/predict"
    assert images["outputs"]["class_id"]["dtype"] == "DT_INT64"
    assert [dim["size"] for dim in images["outputs"]["probabilities"]["tensor_shape"]["dim"]] == ["-1", "3"]


def test_health(server):
    reply = server.get("/healthz")

    assert (reply.status_code, reply.json()) == (200, {"status": "ok", "version": str(server.version())})


def test_metrics_count_requests_and_images(server):
    names = (
        'shiftvit_requests_total{code="200"}',
        'shiftvit_requests_total{code="400"}',
        "shiftvit_images_total",
        "shiftvit_request_seconds_count",
        "shiftvit_batch_images_sum",
    )
    before = [server.metric(name) for name in names]
    server.post({"instances": [b64(png("red"))] * 3})
    server.post(b"{")
    after = [server.metric(name) for name in names]

    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 3, 2, 3]
    assert server.metric("shiftvit_served_version") == server.version()
    assert server.get("/metrics").headers["Content-Type"].startswith("text/plain; version=")


def test_page_fetches_from_this_server_only(server):
    reply = server.get("/")

    assert reply.status_code == 200 and reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'; connect-src 'self'" in reply.headers["Content-Security-Policy"]
    assert re.findall(r"https?:|//[a-z]|@import|\ssrc=|<link[^>]*href=\"(?!data:)", reply.text) == []
    assert re.findall(r'fetchJson\("([^"]+)"', reply.text) == [PREDICT[1:], "classes"]
    classes = server.get("/classes").json()
    assert classes["version"] == str(server.version()) and tuple(classes["class_names"]) in (ENGLISH, GERMAN)


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/favicon.ico", 404, "nothing is at /favicon.ico"),
        ("GET", "/v1/models/other", 404, "no model 'other'; the served model is shiftvit"),
        ("POST", "/v1/models/other:predict", 404, "no model 'other'"),
        ("POST", "/v1/models/shiftvit/versions/new:predict", 404, "nothing is at"),
        ("GET", "/../../etc/passwd", 404, "nothing is at"),
        ("GET", PREDICT, 405, "does not accept GET, only POST"),
        ("POST", "/v1/models/shiftvit", 405, "only GET"),
        ("DELETE", "/", 405, "only GET, HEAD"),
    ],
)
def test_unknown_path_or_method_is_answered_with_json(server, method, path, status, reason):
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall(f"{method} {path} HTTP/1.0\r\nContent-Length: 0\r\n\r\n".encode())
        reply = connection.makefile("rb").read().decode()

    head, _, body = reply.partition("\r\n\r\n")
    assert f" {status} " in head.splitlines()[0] and "Content-Type: application/json" in head
    assert body.startswith('{"error": "') and reason in body
    assert ("Allow: " in head) == (status == 405)


@pytest.mark.parametrize("kind", ["with its length", "in chunks", "compressed"])
def test_too_large_body_is_rejected(server, kind):
    content = b" " * 1_000_001
    sent = {
        "with its length": {"body": content},
        "in chunks": {"body": (content[start : start + 100_000] for start in range(0, len(content), 100_000))},
        "compressed": {"body": gzip.compress(content), "headers": {"Content-Encoding": "gzip"}},
    }[kind]
    if kind == "in chunks":
        import requests

        reply = requests.post(server.url + PREDICT, data=sent["body"], timeout=HANG_SECONDS)
    else:
        reply = server.post(**sent)

    assert reply.status_code == 413
    assert reply.json() == {"error": "the body is larger than 1,000,000 bytes; send fewer or smaller images"}


def test_body_of_the_largest_size_is_accepted(server):
    reply = server.post(b'{"instances": ["' + b" " * (1_000_000 - 19) + b'"]}')

    assert reply.status_code == 400 and reply.json()["error"].startswith("instances[0]: not a PNG")


def test_bad_image_fails_only_its_own_request(server):
    bad = {7: {"instances": [b64(b"no image")]}, 11: {"instances": [b64(png("red")), b64(png("red")[:60])]}}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda index: server.post(bad.get(index, RED)), range(16)))

    assert [index for index, reply in enumerate(replies) if reply.status_code != 200] == [7, 11]
    assert replies[7].json()["error"].startswith("instances[0]: not a PNG")
    assert replies[11].json()["error"].startswith("instances[1]: a damaged PNG image (")
    assert {reply.json()["predictions"][0]["class_id"] for reply in replies if reply.ok} == {0}
