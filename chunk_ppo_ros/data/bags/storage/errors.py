"""Lists the errors that libraries raise on damaged files of bags, and turns them into one that names the file."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import struct
import sys
from collections.abc import Iterator

from rosbags.rosbag2 import ReaderError
from rosbags.serde import SerdeError
from rosbags.typesys import TypesysError

from chunk_ppo_ros.core.errors import EpisodesError

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError
else:
    from backports.zstd import ZstdError

ERRORS: tuple[type[Exception], ...] = (
    ReaderError,
    SerdeError,
    TypesysError,
    ZstdError,
    sqlite3.Error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)
"""What reading a damaged file may raise: its own words of each library, and what numbers out of range lead to.

The lz4 library raises RuntimeError. rosbags raises KeyError, TypeError and AssertionError on some definitions of types.
"""


def text_of(error: BaseException) -> str:
    """Returns what an error says in one line, with its kind where the text alone would not be understood."""
    text = " ".join(str(error).split())
    return text if isinstance(error, (OSError, ValueError)) and text else f"{type(error).__name__}: {text}"


@contextlib.contextmanager
def guarded(path: pathlib.Path, advice: str = "") -> Iterator[None]:
    """Turns what libraries raise on damaged files into an error that names the file."""
    try:
        yield
    except ERRORS as error:
        advice = advice or "copy it again, run ros2 bag reindex, or leave it out (--leave_out_episodes)"
        raise EpisodesError(f"recording must be whole, got {path}: {text_of(error)}; {advice}") from error
