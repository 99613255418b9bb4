"""A model of a disk that keeps what was synced, and may lose anything else when the power is cut.

The model is as strict as POSIX allows, after Pillai et al. 2014, "All File Systems Are Not Created Equal". The content
of a file is sure after a sync of that file, and a name is sure after a sync of the folder that holds it. Everything
else may be kept or lost piece by piece, content in sectors. File systems promise more than that, each something else.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping

from power_cut.calls import (
    Call,
    Close,
    Copy,
    MakeFolder,
    Open,
    Remove,
    Rename,
    Said,
    Seek,
    SyncBegin,
    SyncEnd,
    SyncFailed,
    Truncate,
    Write,
)
from power_cut.inode import Change, Cut, Inode, left_content, left_entries

ROOT = ""

State = Mapping[str, bytes | None]
"""What is left after a cut: the content of each file by its path, and None for each folder."""


@dataclasses.dataclass
class _Opened:
    inode: Inode
    appends: bool
    position: int = 0


class Disk:
    """Follows the calls of one program after the other, and says what a cut leaves at any time."""

    def __init__(self, *folders: str) -> None:
        """Begins with a folder that holds the given empty ones. All of them are sure to be there."""
        self._root = Inode(is_folder=True)
        self._root.set_entries({name: Inode(is_folder=True) for name in folders})
        self._root.make_sure(1)
        self._opened: dict[int, _Opened] = {}
        self._syncs: dict[int, tuple[Inode, int]] = {}
        self.said: list[str] = []

    def begin_program(self) -> None:
        """Forgets the descriptors of the program before, which has ended."""
        self._opened.clear()
        self._syncs.clear()

    def do(self, call: Call) -> None:
        """Does what a call did.

        Raises:
            KeyError: when the call names a file or descriptor that the earlier calls do not know.
        """
        match call:
            case Said(text):
                self.said.append(text)
            case Open():
                self._open(call)
            case Close(descriptor):
                self._opened.pop(descriptor, None)
            case Seek(descriptor, position):
                if descriptor in self._opened:
                    self._opened[descriptor].position = position
            case Write():
                self._write(call)
            case Copy(descriptor, source, start, length):
                content = self._opened[source].inode.present[start : start + length]
                self._write(Write(descriptor, content))
            case Truncate(descriptor, length):
                self._opened[descriptor].inode.change(Change(length, None))
            case SyncBegin(descriptor, number):
                inode = self._opened[descriptor].inode
                self._syncs[number] = (inode, inode.num_done)
            case SyncEnd(number):
                inode, num = self._syncs.pop(number)
                inode.make_sure(num)
            case SyncFailed(number):
                inode, num = self._syncs.pop(number)
                inode.give_up(num)
            case MakeFolder(path):
                folder, name = self._parent(path)
                folder.set_entries({name: Inode(is_folder=True)})
            case Rename():
                self._rename(call)
            case Remove(path):
                folder, name = self._parent(path)
                folder.set_entries({name: None})

    def after(self, cut: Cut, source: random.Random) -> State:
        """Returns what is left where the power is cut now.

        Args:
            cut: what is left of the things that were not synced.
            source: what is left, where this is random.
        """
        return dict(_walk(self._root, ROOT, cut, source))

    def _open(self, call: Open) -> None:
        inode = Inode(is_folder=False) if call.nameless else self._find(call.path)
        if inode is None:
            if not call.creates:
                raise KeyError(f"{call.path} was opened, but no recorded call made it")
            folder, name = self._parent(call.path)
            inode = Inode(is_folder=False)
            folder.set_entries({name: inode})
        if call.empties and inode.length:
            inode.change(Change(0, None))
        self._opened[call.descriptor] = _Opened(inode, call.appends)

    def _write(self, call: Write) -> None:
        opened = self._opened[call.descriptor]
        at = opened.position if call.at is None else call.at
        if opened.appends:
            at = opened.inode.length
        opened.inode.change(Change(at, call.content))
        if call.at is None:
            opened.position = at + len(call.content)

    def _rename(self, call: Rename) -> None:
        (old_folder, old_name), (new_folder, new_name) = self._parent(call.old), self._parent(call.new)
        inode = old_folder.entries[old_name]
        if old_folder is new_folder:
            old_folder.set_entries({old_name: None, new_name: inode})
        else:
            new_folder.set_entries({new_name: inode})
            old_folder.set_entries({old_name: None})

    def _find(self, path: str) -> Inode | None:
        inode: Inode | None = self._root
        for part in path.split("/") if path else ():
            inode = None if inode is None else inode.entries.get(part)
        return inode

    def _parent(self, path: str) -> tuple[Inode, str]:
        folder, _, name = path.rpartition("/")
        inode = self._find(folder)
        if inode is None:
            raise KeyError(f"{path} was named, but no recorded call made its folder")
        return inode, name


def _walk(folder: Inode, path: str, cut: Cut, source: random.Random) -> Iterator[tuple[str, bytes | None]]:
    for name, inode in left_entries(folder, cut, source).items():
        below = f"{path}/{name}" if path else name
        if inode.is_folder:
            yield below, None
            yield from _walk(inode, below, cut, source)
        else:
            yield below, left_content(inode, cut, source)
