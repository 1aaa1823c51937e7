"""Malformed predict requests: the response is 400 with a reason that says where the request is wrong."""

import json

import pytest
from known_data import IMAGE_BYTES
from servers import RED, b64, png

IMAGE = b64(png("red"))


def text(value):
    return json.dumps(value).encode()


MALFORMED = {
    "nothing": (b"", "the body is not JSON: Expecting value"),
    "no JSON": (b"image", "the body is not JSON: Expecting value: line 1 column 1"),
    "cut short": (text(RED)[:-9], "the body is not JSON: Unterminated string"),
    "more after its end": (text(RED) + b"}", "the body is not JSON: Extra data"),
    "a form": (b"instances=1", "the body is not JSON"),
    "an image itself": (png("red"), "the body is not UTF-8 at byte 0"),
    "UTF-16": (json.dumps(RED).encode("utf-16"), "the body is not UTF-8"),
    "brackets a million deep": (b"[" * 900_000, "more values than 40 images"),
    "brackets too deep": (b'{"instances":' + b"[" * 160 + b"]" * 160 + b"}", "instances[0] must be"),
    "many empty lists": (b'{"instances": [' + b"[]," * 300_000 + b"[]]}", "more values than 40 images"),
    "a number of a million digits": (b'{"instances": [' + b"9" * 900_000 + b"]}", "the body cannot be read"),
    "a list": (text([IMAGE]), 'the body must be an object such as {"instances": [...]}, not a list'),
    "a string": (b'"instances"', "the body must be an object"),
    "null": (b"null", "not null"),
    "no images": (b"{}", 'give either "instances", a list of rows, or "inputs"'),
    "both forms": (text({"instances": [IMAGE], "inputs": [IMAGE]}), 'give either "instances"'),
    "an unknown key alone": (text({"verbose": True}), 'give either "instances"'),
    "a signature's key misspelt": (
        text({**RED, "signature": "x"}),
        'unknown key "signature"; did you mean signature',
    ),
    "a key misspelt": (text({"instance": [IMAGE]}), 'unknown key "instance"; did you mean instances?'),
    "an input of control characters": (text({"inputs": {"\x1b[31m\n": 1}}), 'no input "\\u001b[31m\\n"'),
    "an input of a very long name": (text({"inputs": {"k" * 100_000: 1}}), "k" * 60 + '…"'),
    "an unknown signature": (
        text({**RED, "signature_name": "classify"}),
        'no signature "classify"; the model has serving_default, serving_examples',
    ),
    "an unsupported signature": (text({**RED, "signature_name": "__saved_model_init_op"}), "no signature"),
    "a signature that is a number": (text({**RED, "signature_name": 5}), '"signature_name" must be a string, not a nu'),
    "a signature that is null": (text({**RED, "signature_name": None}), '"signature_name" must be a string, not null'),
    "instances that are an object": (text({"instances": IMAGE}), '"instances" must be a list, not an object'),
    "instances that are a string": (text({"instances": IMAGE["b64"]}), '"instances" must be a list, not a string'),
    "inputs that are one image": (text({"inputs": IMAGE}), '"inputs" must have a list of images, not an object'),
    "inputs that hold one image": (
        text({"inputs": {"image_bytes": IMAGE}}),
        '"inputs" must have a list of images, not an object',
    ),
    "no instance": (text({"instances": []}), '"instances" must have from 1 to 40 images, not 0'),
    "too many instances": (text({"instances": ["x"] * 41}), '"instances" must have from 1 to 40 images, not 41'),
    "too many inputs": (text({"inputs": ["x"] * 41}), '"inputs" must have from 1 to 40 images, not 41'),
    "an unknown input": (
        text({"instances": [IMAGE, {"picture": IMAGE}]}),
        'instances[1]: no input "picture"; the signature\'s is image_bytes',
    ),
    "an additional input": (
        text({"instances": [{"image_bytes": IMAGE, "label": 3}]}),
        'instances[0]: no input "label"',
    ),
    "no input": (text({"instances": [{}]}), "instances[0]: image_bytes is missing"),
    "a number": (text({"instances": [IMAGE, 7]}), 'instances[1] must be {"b64": "..."}, not a number'),
    "pixels": (text({"instances": [[1, 2, 3]]}), "instances[0] must be"),
    "true": (text({"inputs": [True]}), "inputs[0] must be"),
    "NaN": (b'{"instances": [NaN]}', "instances[0] must be"),
    "b64 of a number": (text({"instances": [{"b64": 7}]}), "instances[0] must be"),
    "b64 and more": (text({"instances": [{**IMAGE, "name": "x"}]}), "with a string and nothing else"),
    "not base64": (text({"instances": [IMAGE, {"b64": "*" * 8}]}), 'instances[1]: "b64" is not base64'),
    "base64 cut short": (text({"inputs": [{"b64": "AAAAA"}]}), 'inputs[0]: "b64" is not base64'),
    "base64 that is not ASCII": (text({"instances": [{"b64": "ÄÖÜ="}]}), "is not base64"),
    "a data URL": (
        text({"instances": [{"b64": "data:image/png;base64," + IMAGE["b64"]}]}),
        "it starts like a data URL: send only what follows its comma",
    ),
    "base64 for URLs": (text({"instances": [{"b64": "_-8="}]}), "as in the alphabet for URLs"),
    "a lone surrogate": (b'{"instances": ["\\ud800"]}', "instances[0]: text with a lone surrogate at 0"),
    "text instead of an image": (
        text({"instances": ["no image"]}),
        "instances[0]: not a PNG, JPEG, BMP, GIF or WebP image",
    ),
    "an empty image": (text({"inputs": [IMAGE, {"b64": ""}]}), "inputs[1]: not a PNG, JPEG, BMP, GIF or WebP image"),
    "a damaged image": (text({"instances": [b64(png("red")[:-20])]}), "instances[0]: a damaged PNG image"),
    "an image instead of a record": (
        text({"signature_name": "serving_examples", "instances": [IMAGE]}),
        "instances[0]: the model rejects it as examples",
    ),
    "a very long record": (
        text({"signature_name": "serving_examples", "instances": ["x" * 100_000]}),
        "instances[0]: the model rejects it as examples",
    ),
    "a record one byte short": (
        text({"signature_name": "serving_examples", "instances": [b64(bytes(IMAGE_BYTES - 1))]}),
        "instances[0]: the model rejects it as examples",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_response_is_400_with_a_reason(name, server):
    body, expected = MALFORMED[name]
    reply = server.post(body)

    assert (reply.status_code, list(reply.json())) == (400, ["error"])
    reason = reply.json()["error"]
    assert expected in reason and reason.isprintable() and len(reason) < 400


def test_server_still_works_afterwards(server):
    assert server.post(RED).status_code == 200


def test_body_without_its_declared_encoding_is_rejected(server):
    reply = server.post(b"no gzip", headers={"Content-Encoding": "gzip"})

    assert reply.status_code == 400
