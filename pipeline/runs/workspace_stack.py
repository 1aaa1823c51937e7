"""The stack that a workspace belongs to: runs of the other one neither resume its state nor reuse its cached outputs.

The first run writes the name of its stack into the workspace. What only reads a workspace works on either stack, and so
does a rollback: models, prepared sources, and the database of ML Metadata have one format. Imports nothing heavy.
"""

from pipeline.runs.workspace import Workspace
from shiftvit.errors import ConfigError
from shiftvit.files import atomic, disk
from shiftvit.stack import CLASSIC, STACK


def read(workspace: Workspace) -> str | None:
    """Returns the name of the workspace's stack; None before its first run."""
    try:
        return workspace.stack.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        has_runs = workspace.runs.exists() or workspace.artifacts.exists()
        return CLASSIC if has_runs else None  # once there was no other


def check(workspace: Workspace) -> None:
    """Raises ConfigError if runs of another stack made the workspace."""
    stack = read(workspace)
    if stack not in (None, STACK):
        raise ConfigError(
            f"--workspace {workspace.root} belongs to the {stack} stack, and this is the {STACK} stack, whose runs "
            f"must not mix with its metadata and cache; name another --workspace, or run on the {stack} stack, "
            f"which is STACK={stack} for make"
        )


def claim(workspace: Workspace) -> None:
    """Writes the name of this stack into the workspace, unless it is there. Call it while the workspace is locked.

    Raises:
        ConfigError: when runs of another stack made the workspace, or it cannot be written.
    """
    check(workspace)
    if not workspace.stack.exists():
        with disk.explain_write_errors(f"--workspace {workspace.root}"):
            workspace.root.mkdir(parents=True, exist_ok=True)
            atomic.write_file(workspace.stack, f"{STACK}\n")
