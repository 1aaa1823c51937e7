"""Error messages of calls that must fail."""

import pytest


def refusal(kind, act, *arguments, **named):
    """Returns the message, of one line, of the error that the call must raise."""
    with pytest.raises(kind) as raised:
        act(*arguments, **named)
    assert "\n" not in str(raised.value)
    return str(raised.value)
