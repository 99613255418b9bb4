"""The journal of transitions as it was before the store: a file for each, renamed and never synced.

It is here as the case that must fail. A replay that finds nothing wrong with it would show nothing. `make bench-store`
measures the store beside it.
"""

from __future__ import annotations

from pathlib import Path

_SUFFIX = ".cdr"


class UnsyncedJournal:
    """Keeps each message in `<folder>/v<version>/<sequence number>.cdr`, as commit 704d3cf did.

    Args:
        folder: the folder of the journal. It is made when the first message is added.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, message: bytes, *, version: int, sequence_number: int) -> None:
        """Keeps a message until the process or the machine dies.

        Raises:
            OSError: when the file cannot be written.
        """
        path = self._folder / f"v{version}" / f"{sequence_number}{_SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.tmp")
        temporary.write_bytes(message)
        temporary.replace(path)

    def read(self, *, version: int) -> dict[int, bytes]:
        """Returns the messages of a version by their sequence numbers."""
        paths = (self._folder / f"v{version}").glob(f"*{_SUFFIX}")
        return {int(path.stem): path.read_bytes() for path in paths}
