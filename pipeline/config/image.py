"""The grammar of a container image's name, as Docker and Kubernetes read it. Imports nothing heavy."""

import re

_HOST_PART = "[A-Za-z0-9]+(-+[A-Za-z0-9]+)*"
_HOST = rf"({_HOST_PART}(\.{_HOST_PART})*|\[[0-9a-fA-F:]+\])(:[0-9]{{1,5}})?"
_PATH_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_NAME = re.compile(rf"(?P<name>({_HOST}/)?{_PATH_PART}(/{_PATH_PART})*)(:{_TAG})?(@sha256:[0-9a-f]{{64}})?")
_LONGEST = 255  # of the part before tag and digest

FORM = "an image such as registry.example.org/shiftvit:1: [HOST[:PORT]/]PATH[:TAG][@DIGEST], PATH in lower case"


def is_image(text: str) -> bool:
    """Returns whether `text` can be the name of an image.

    >>> is_image("registry:5000/team/shiftvit:1.0"), is_image("Shift ViT"), is_image("-x")
    (True, False, False)
    """
    found = _NAME.fullmatch(text) if len(text) <= 2 * _LONGEST else None
    return found is not None and len(found["name"]) <= _LONGEST
