"""Starts the programs of this project: `shiftvit`, and by `python shiftvit_pipeline.py MODULE` its other processes.

Unlike `python -m MODULE`, this takes our packages from this folder whatever else is on the path, where a user's project
may well have a `pipeline` or `components` of its own. The name of this module is one that no other project has.
Standard library only.
"""

import os
import runpy
import sys

_ROOT = os.path.dirname(os.path.abspath(__file__))
_STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__))


def main() -> int:
    """Runs the command line; returns the exit code."""
    try:
        order_path()
        from pipeline.cli.main import program

        return program()
    except KeyboardInterrupt:  # while the modules load
        os.write(2, b"shiftvit: interrupted\n")
        return 130


def order_path() -> None:
    """Has Python look for modules in its own library, then here, in what is installed, and last where a user's are.

    So a file of the user's, in a folder of PYTHONPATH or in the working directory, never replaces a module that this
    project or a library imports. Children that are started in another way get this folder first.
    """
    try:
        os.getcwd()
    except OSError:  # it was removed, which the command line reports
        return
    given = os.environ.get("PYTHONPATH", "")
    users = [os.path.abspath(path) for path in ("", os.path.dirname(sys.argv[0]), *given.split(os.pathsep))]

    def rank(path: str) -> int:
        path = os.path.abspath(path)
        if path in (_STANDARD_LIBRARY, os.path.join(_STANDARD_LIBRARY, "lib-dynload")):
            return 0
        return 1 if path == _ROOT else 3 if path in users else 2

    sys.path[:] = sorted(dict.fromkeys([*sys.path, _ROOT]), key=rank)
    if os.path.basename(_ROOT) not in ("site-packages", "dist-packages"):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_ROOT, given)))


if __name__ == "__main__":
    order_path()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
