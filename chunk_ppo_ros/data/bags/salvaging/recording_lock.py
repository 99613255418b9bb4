"""Keeps two processes from writing one recording, such as a recorder and the command `salvage`.

The folder of the recording is locked, as long as its writer has it open.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator


class RecordingLocked(OSError):
    """Another process writes the recording."""


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
    """Keeps other writers away from the folder of a recording within the context.

    Raises:
        RecordingLocked: where one is at work.
        OSError: where there is no such folder.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise RecordingLocked(
            f"{folder} must not be written by another process, got one that records; stop it first"
        ) from error
    finally:
        os.close(descriptor)
