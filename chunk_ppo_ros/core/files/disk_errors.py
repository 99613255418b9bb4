"""Says what to do where the disk refuses a file or folder that a program needs to begin."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from chunk_ppo_ros.core.errors import UserError

_MAKE_ROOM, _MEND = "make room on the disk", "mend its permissions and its owner"
_ADVICE = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EACCES: _MEND,
    errno.EPERM: _MEND,
    errno.EROFS: "mount the disk so that it can be written",
    errno.ENOTDIR: "move the file away that is in its place",
    errno.EEXIST: "move the file away that is in its place",
    errno.EISDIR: "move the folder away that is in its place",
    errno.ENOLCK: "put run.run_dir on a disk of this machine",
    errno.EOPNOTSUPP: "put run.run_dir on a disk of this machine",
}


class DiskError(UserError, OSError):
    """A file or folder cannot be used. The text names it and says what to do."""


@contextlib.contextmanager
def usable(path: Path, what: str) -> Iterator[None]:
    """Turns an error of the disk into one that names the path and says what to do.

    Args:
        path: the file or folder that the block opens, makes or reads.
        what: what the path must be, such as "a folder that can be read and written".

    Raises:
        DiskError: where the block raises an OSError. One that is a UserError too passes as it is.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, UserError):
            raise
        advice = _ADVICE.get(error.errno or 0, "look at the disk")
        raise DiskError(f"{path} must be {what}, but: {error}; {advice}, or name another run.run_dir") from error
