"""How commands write their results and errors."""

import json
import sys
from typing import Any


def print_json(value: Any) -> int:
    """Prints the value as JSON; returns the exit code of a command that ends with it."""
    print(json.dumps(value, indent=2))
    return 0


def fail(sentence: str, exit_code: int) -> int:
    """Prints the error to stderr, after all that was printed to stdout; returns the exit code."""
    sys.stdout.flush()
    print(f"shiftvit: {sentence}", file=sys.stderr)
    return exit_code
