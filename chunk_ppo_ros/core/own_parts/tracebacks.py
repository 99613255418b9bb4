"""Shows the traceback of an error of the user, where the user wants it.

The line of such an error names what is wrong. The traceback also says which calls led there, which helps to repair code
of one's own.
"""

from __future__ import annotations

import os
import sys
import traceback

SHOWS_TRACEBACKS = "CHUNK_PPO_SHOWS_TRACEBACKS"
"""The variable by which errors of the user are shown with their traceback too, as "1"."""
FLAG = "--traceback"
"""The flag before the name of a command."""


def show_tracebacks() -> None:
    """Makes this process, and all that it starts, show them."""
    os.environ[SHOWS_TRACEBACKS] = "1"


def print_wanted(error: BaseException) -> None:
    """Prints the traceback of an error on standard error, if `show_tracebacks` was called or the variable is set."""
    if os.environ.get(SHOWS_TRACEBACKS) == "1":
        traceback.print_exception(error, file=sys.stderr)
