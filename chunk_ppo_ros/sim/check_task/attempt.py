"""Calls a task that is checked. Its code belongs to somebody else, and may raise anything or return anything."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")


class TaskError(Exception):
    """A task raised an error, or returned something that it must not. The text says what, where and what to do."""

    def __init__(self, found: str, advice: str) -> None:
        """Takes what was found, and what to do."""
        super().__init__(found)
        self.found, self.advice = found, advice


def attempt(what: str, function: Callable[[], ResultT]) -> ResultT:
    """Calls a function of the task and returns its result.

    Args:
        what: the name of the function, such as "sample_layout", for the error.
        function: the call.

    Raises:
        TaskError: where it raises an error. The text names the file and the line.
    """
    try:
        return function()
    except TaskError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        found = f"{what} raised {error!r} at {frame.filename}:{frame.lineno}"
        raise TaskError(found, "repair that line") from error
