"""Clients of TensorFlow Serving: each form of a request in docs/serving.md gets the answer that its documentation says.

Documentation: tensorflow.org/tfx/serving/api_rest. Where it is silent, the behaviour of its source, json_tensor.cc: a
signature name of "" is the default; keys besides the known ones are ignored; base64 may have spaces, line breaks and no
padding; a byte order mark is skipped.
"""

import base64
import gzip
import json

import pytest
from servers import PREDICT, RED, b64, png

RED_IMAGE = b64(png("red"))
TEXT = RED_IMAGE["b64"]
LINES = base64.encodebytes(png("red")).decode()  # broken after 76 characters, as `base64` prints it

FORMS = {
    "a list of values": {"instances": [RED_IMAGE]},
    "a list of objects": {"instances": [{"image_bytes": RED_IMAGE}]},
    "columns by name": {"inputs": {"image_bytes": [RED_IMAGE]}},
    "the only column": {"inputs": [RED_IMAGE]},
    "more columns": {"inputs": {"image_bytes": [RED_IMAGE], "label": [3]}},
    "a signature": {"signature_name": "serving_default", **RED},
    "an empty signature": {"signature_name": "", **RED},
    "other keys": {"id": 7, "parameters": {"top": 5}, **RED},
    "line breaks": {"instances": [{"b64": LINES}]},
    "line breaks of Windows": {"instances": [{"b64": LINES.replace("\n", "\r\n")}]},
    "spaces": {"instances": [{"b64": f" {TEXT[:9]} {TEXT[9:]}\t"}]},
    "no padding": {"instances": [{"b64": TEXT.rstrip("=")}]},
}


@pytest.mark.parametrize("form", FORMS)
def test_form_of_a_request(server, form):
    assert "\n" in LINES.strip()
    reply = server.post(FORMS[form])

    assert reply.status_code == 200, reply.text
    columns = reply.json().get("outputs")
    assert (columns["class_id"] if columns else [row["class_id"] for row in reply.json()["predictions"]]) == [0]


BODY = json.dumps(RED).encode()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, {}),
        (BODY, {"Content-Type": "application/x-www-form-urlencoded"}),  # what curl says of -d
        (BODY, {"Content-Type": "text/plain; charset=latin-1"}),
        (b"\xef\xbb\xbf" + BODY, {}),
        (gzip.compress(BODY), {"Content-Encoding": "gzip"}),
        (json.dumps(RED, indent=2).replace("\n", "\r\n").encode(), {"Accept": "text/html"}),
    ],
)
def test_headers_and_encodings_of_a_request(server, body, headers):
    reply = server.post(body, headers=headers)

    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/json"), reply.text


@pytest.mark.parametrize(
    "image", [TEXT, LINES, f"data:image/png;base64,{TEXT}", {"b64": base64.b64encode(TEXT.encode()).decode()}]
)
def test_image_without_its_wrapper_is_named(server, image):
    reply = server.post({"instances": [RED_IMAGE, image]})

    reason = 'instances[1]: this is base64 text, not an image: put it into {"b64": "..."}, encoded once'
    assert (reply.status_code, reply.json()) == (400, {"error": reason})


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("POST", f"{PREDICT[:-8]}:classify", "only :predict is served, as the model has no signatures for :classify"),
        ("POST", f"{PREDICT[:-8]}/versions/1:regress", "no signatures for :regress"),
        (
            "POST",
            f"{PREDICT[:-8]}/labels/stable:predict",
            "versions have no labels here: name a number",
        ),
        ("GET", f"{PREDICT[:-8]}/labels/stable", "versions have no labels here"),
        ("GET", f"{PREDICT[:-8]}/labels/stable/metadata", "versions have no labels here"),
    ],
)
def test_what_is_not_served_is_said(server, method, path, reason):
    reply = server.post(RED, path) if method == "POST" else server.get(path)

    assert reply.status_code == 404 and reason in reply.json()["error"]
