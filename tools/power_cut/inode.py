"""Files and folders of the modeled disk, with what is sure of them and what a power cut may take."""

from __future__ import annotations

import dataclasses
import enum
import random
from collections.abc import Iterator, Mapping, Sequence

_SECTOR = 512  # bytes
_PART = 0.5  # the part of what is not sure that is left, where this is random


class Cut(enum.Enum):
    """What a power cut leaves of the things that were not synced."""

    DROP = "nothing"
    KEEP = "everything"
    NAMES = "the names, but no content"
    CONTENT = "the content, but no names"
    LENGTHS = "the names and the lengths, with zeros in place of the content"
    PREFIX = "the names, and the content up to a random byte"
    SOME = "some names and some sectors at random"


@dataclasses.dataclass(frozen=True, eq=False)
class Change:
    """A write at a position, or a new length where there is no content."""

    at: int
    content: bytes | None


@dataclasses.dataclass(eq=False)
class Inode:
    """A file or folder. Its changes are those that no sync has made sure; `num_sure` counts those that are."""

    is_folder: bool
    content: bytes = b""
    length: int = 0
    changes: list[Change] = dataclasses.field(default_factory=list)
    entries: dict[str, Inode] = dataclasses.field(default_factory=dict)
    sure_entries: dict[str, Inode] = dataclasses.field(default_factory=dict)
    renames: list[dict[str, Inode | None]] = dataclasses.field(default_factory=list)
    num_sure: int = 0
    given_up: list[Change] = dataclasses.field(default_factory=list)

    @property
    def num_done(self) -> int:
        """The number of changes so far. A sync that begins now covers them."""
        return self.num_sure + len(self._unsure)

    @property
    def present(self) -> bytes:
        """The content of a file as programs see it."""
        return _apply_changes(self.content, self.changes)

    def set_entries(self, entries: dict[str, Inode | None]) -> None:
        """Changes names in a folder, all together or not at all."""
        _apply_names(self.entries, entries)
        self.renames.append(entries)

    def change(self, change: Change) -> None:
        """Changes the content or the length of a file."""
        self.changes.append(change)
        self.length = change.at if change.content is None else max(self.length, change.at + len(change.content))

    def make_sure(self, num: int) -> None:
        """Makes the first `num` changes of all sure, but for those that a failed sync has given up."""
        new = max(0, num - self.num_sure)
        if self.is_folder:
            for entries in self.renames[:new]:
                _apply_names(self.sure_entries, entries)
            del self.renames[:new]
            self.num_sure += new
        elif new:
            sure = [change for change in self.changes[:new] if change not in self.given_up]
            self.content = _apply_changes(self.content, sure)
            self.changes[:new] = [change for change in self.changes[:new] if change in self.given_up]
            self.num_sure += len(sure)

    def give_up(self, num: int) -> None:
        """Gives up the first `num` changes after a failed sync: no later sync makes them sure.

        The kernel marks what it could not write as written, so that the next sync has nothing to write. See Rebello et
        al. 2020, "Can Applications Recover from fsync Failures?".
        """
        self.given_up += self.changes[: max(0, num - self.num_sure)]

    @property
    def _unsure(self) -> Sequence[object]:
        return self.renames if self.is_folder else self.changes


def left_entries(folder: Inode, cut: Cut, source: random.Random) -> dict[str, Inode]:
    """Returns the entries of a folder after a cut."""
    if not folder.renames or cut in (Cut.DROP, Cut.CONTENT):
        return folder.sure_entries
    entries = dict(folder.sure_entries)
    for change in folder.renames:
        if cut is not Cut.SOME or source.random() < _PART:
            _apply_names(entries, change)
    return entries


def left_content(file: Inode, cut: Cut, source: random.Random) -> bytes:
    """Returns the content of a file after a cut."""
    if not file.changes or cut in (Cut.DROP, Cut.NAMES):
        return file.content
    if cut in (Cut.KEEP, Cut.CONTENT):
        return _apply_changes(file.content, file.changes)
    if cut is Cut.LENGTHS:
        return _apply_changes(file.content, [_zeros(change) for change in file.changes])
    if cut is Cut.PREFIX:
        whole = _apply_changes(file.content, file.changes)
        return whole[: source.randint(min(len(file.content), len(whole)), len(whole))]
    kept = [sector for change in file.changes for sector in _sectors(change) if source.random() < _PART]
    return _apply_changes(file.content, kept)


def _zeros(change: Change) -> Change:
    return change if change.content is None else Change(change.at, bytes(len(change.content)))


def _sectors(change: Change) -> Iterator[Change]:
    if change.content is None:
        yield change
        return
    start, end = change.at, change.at + len(change.content)
    while start < end:
        stop = min(end, (start // _SECTOR + 1) * _SECTOR)
        yield Change(start, change.content[start - change.at : stop - change.at])
        start = stop


def _apply_changes(content: bytes, changes: list[Change]) -> bytes:
    result = bytearray(content)
    for change in changes:
        if change.content is None:
            del result[change.at :]
            result.extend(bytes(change.at - len(result)))
            continue
        result.extend(bytes(max(0, change.at - len(result))))
        result[change.at : change.at + len(change.content)] = change.content
    return bytes(result)


def _apply_names(entries: dict[str, Inode], changes: Mapping[str, Inode | None]) -> None:
    for name, inode in changes.items():
        if inode is None:
            entries.pop(name, None)
        else:
            entries[name] = inode
