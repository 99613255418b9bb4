"""Opens the files of a bag, whatever their format, and says of a file how it was cut off."""

from __future__ import annotations

import contextlib
import pathlib
import tempfile

from chunk_ppo_ros.data.bags.storage.bag_folder import PACKED, BagFolder, is_sqlite
from chunk_ppo_ros.data.bags.storage.compression import unpack_file
from chunk_ppo_ros.data.bags.storage.mcap_file import McapFile
from chunk_ppo_ros.data.bags.storage.sqlite_file import SqliteFile
from chunk_ppo_ros.data.bags.storage.stored import BagFile, DamagedFile


def open_file(path: pathlib.Path, folder: BagFolder, stack: contextlib.ExitStack, *, is_last: bool) -> BagFile:
    """Opens a file of a bag.

    Args:
        path: the file.
        folder: the bag.
        stack: closes the file, and removes what was unpacked for it, when it is closed.
        is_last: whether it is the last file of the bag, which a recorder may not have ended.

    Raises:
        DamagedFile: where a compressed file that must be whole was cut short.
    """
    may_be_cut = is_last and not folder.has_metadata
    if path.name.endswith(PACKED):
        path = _unpacked(path, stack, may_be_cut=may_be_cut)
    if is_sqlite(path):
        file: BagFile = SqliteFile(path, must_be_checked=not folder.has_metadata)
    else:
        file = McapFile(stack.enter_context(path.open("rb")), may_be_cut=may_be_cut)
    stack.callback(file.close)
    return file


def _unpacked(path: pathlib.Path, stack: contextlib.ExitStack, *, may_be_cut: bool) -> pathlib.Path:
    """Returns the content of a compressed file, as a temporary file."""
    unpacked = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()), path.stem)
    with unpacked.open("wb") as target:
        is_whole = unpack_file(path, target)
    if not is_whole and (is_sqlite(path) or not may_be_cut):
        raise DamagedFile("a compressed file must be whole, got one that was cut short")
    return unpacked


def cut_off_text(file: BagFile, source: pathlib.Path) -> str:
    """Returns a sentence about a file that its recorder did not end."""
    if isinstance(file, McapFile):
        return (
            f"{source.name} was cut off, and its complete messages are used; {file.unread_bytes} bytes at its end are "
            "no whole record"
        )
    return f"{source.name} was not ended by its recorder; the messages in its write-ahead log are used too"
