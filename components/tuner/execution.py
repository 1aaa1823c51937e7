"""What ends with an execution of the Tuner. In a module of its own, because TFX reloads the one of `tuner_fn`."""

import contextlib
import contextvars

held: contextvars.ContextVar[contextlib.ExitStack] = contextvars.ContextVar("held")
