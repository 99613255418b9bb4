"""Says which line of a user's code raised an error. Tasks, reward terms and other parts may be written by anybody."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]
_PYTHON = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))
_INSTALLED = ("site-packages", "dist-packages")
"""The names of folders into which packages are installed."""


def raised(error: BaseException) -> str:
    """Returns an error with the line of the user's code that raised it, such as "KeyError('cube') at FILE:7"."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}({error.msg!r}) at {error.filename}:{error.lineno}"
    return f"{error!r}{place(error)}"


def place(error: BaseException) -> str:
    """Returns " at FILE:LINE", the line of the user's code that raised an error; empty where no such code has run.

    It is the innermost line outside this package, Python and installed packages. A part that is itself in an installed
    package has none of these. Its line is then the outermost one, because it may call other packages.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_foreign(Path(frame.filename))]
    own = [frame for frame in frames if not _is_installed(Path(frame.filename))]
    chosen = own[-1:] or frames[:1]
    return "".join(f" at {frame.filename}:{frame.lineno}" for frame in chosen)


def definition(function: object) -> str:
    """Returns " in FILE:LINE", where a function begins; empty where it is not written in Python or is ours."""
    code = getattr(function, "__code__", None)
    if code is None or not _is_foreign(Path(code.co_filename)):
        return ""
    return f" in {code.co_filename}:{code.co_firstlineno}"


def _is_foreign(file: Path) -> bool:
    """Returns whether a file is neither of this package nor of Python."""
    if file.name.startswith("<"):  # such as <frozen importlib._bootstrap>
        return False
    is_python = any(file.is_relative_to(folder) for folder in _PYTHON) and not _is_installed(file)
    return not (is_python or file.is_relative_to(_PACKAGE))


def _is_installed(file: Path) -> bool:
    return any(name in file.parts for name in _INSTALLED)
