"""The system calls that change files, as values. `trace.py` reads them, and `disk.py` gives them their meaning."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Said:
    """The recorded program wrote a line to its standard output, by which it promised something to others."""

    text: str


@dataclasses.dataclass(frozen=True)
class Open:
    """A file or folder was opened. Paths are relative to the recorded folder, which is the empty path itself.

    A file without a name was made in the folder `path`. It is gone when it is closed.
    """

    path: str
    descriptor: int
    creates: bool
    empties: bool
    appends: bool
    nameless: bool = False


@dataclasses.dataclass(frozen=True)
class Close:
    """A descriptor was closed."""

    descriptor: int


@dataclasses.dataclass(frozen=True)
class Seek:
    """The position of a descriptor was set. That of a copied descriptor of a folder does not matter."""

    descriptor: int
    position: int


@dataclasses.dataclass(frozen=True)
class Write:
    """Bytes were written, at the position of the descriptor where `at` is None."""

    descriptor: int
    content: bytes
    at: int | None = None


@dataclasses.dataclass(frozen=True)
class Copy:
    """Bytes of another opened file were written at the position of a descriptor."""

    descriptor: int
    source: int
    start: int
    length: int


@dataclasses.dataclass(frozen=True)
class Truncate:
    """A file got another length."""

    descriptor: int
    length: int


@dataclasses.dataclass(frozen=True)
class SyncBegin:
    """A sync was asked for. It covers what was done before. `number` tells syncs of several threads apart."""

    descriptor: int
    number: int


@dataclasses.dataclass(frozen=True)
class SyncEnd:
    """A sync has returned without an error."""

    number: int


@dataclasses.dataclass(frozen=True)
class SyncFailed:
    """A sync has returned with an error. What it should have made sure may never be, whatever later syncs say."""

    number: int


@dataclasses.dataclass(frozen=True)
class MakeFolder:
    """A folder was made."""

    path: str


@dataclasses.dataclass(frozen=True)
class Rename:
    """A file or folder got another name."""

    old: str
    new: str


@dataclasses.dataclass(frozen=True)
class Remove:
    """A name of a file or of an empty folder was removed."""

    path: str


Call = (
    Said
    | Open
    | Close
    | Seek
    | Write
    | Copy
    | Truncate
    | SyncBegin
    | SyncEnd
    | SyncFailed
    | MakeFolder
    | Rename
    | Remove
)
