"""Records the system calls of a program below strace, and reads them.

strace sees what every library does, also in C, as Orbax and its storage do. Only calls below one folder are read, and
what the program writes to its standard output.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

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

BEGIN = "BEGIN"
"""The line that a recorded program says before its first call that counts. What it imports is not looked at."""

_SYNCS = ("fsync", "fdatasync")
_NOT_MODELED = ("copy_file_range", "link", "linkat", "symlink", "symlinkat", "fallocate", "truncate", "sync_file_range")
_TRACED = (
    *("openat", "open", "creat", "close", "write", "writev", "pwrite64", "pwritev", "pwritev2", "lseek", "ftruncate"),
    *_SYNCS,
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "sendfile"),
    *_NOT_MODELED,
)
_LINE = re.compile(r"(\d+)\s+(.*)")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PLACE = re.compile(r"(AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>")


def why_not() -> str:
    """Returns why nothing can be recorded here, or an empty text."""
    if shutil.which("strace") is None:
        return "strace must be installed to record system calls, and it is not"
    ended = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return "" if ended.returncode == 0 else f"strace must be allowed here, got: {ended.stderr.strip()}"


def record(command: Sequence[str], trace: Path, *, environment: Mapping[str, str], faults: Sequence[str] = ()) -> None:
    """Runs a program to its end, and writes its system calls.

    Args:
        command: the program.
        trace: the file for the calls.
        environment: the environment of the program.
        faults: the calls that fail instead of being made, as strace's option `inject` takes them.

    Raises:
        ValueError: when the program ends with an error.
    """
    strace = ["strace", "-f", "-y", "-xx", "-s", "100000000", "-e", f"trace={','.join(_TRACED)}", "-o", str(trace)]
    strace += [argument for fault in faults for argument in ("-e", f"inject={fault}")]
    ended = subprocess.run([*strace, *command], env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise ValueError(f"the recorded program must end without an error, got {ended.returncode}:\n{ended.stderr}")


def read(trace: Path, folder: Path) -> Iterator[Call]:
    """Yields the calls of a recorded program below a folder, in the order in which they returned.

    Raises:
        ValueError: when the program has changed a file in a way that is not modeled.
    """
    begun = False
    for text, is_begin in _whole_calls(trace):
        parts = _CALL.match(text)
        if is_begin:
            yield from _begun_call(text, folder) if begun else ()
        elif begun and parts and parts[1] in _SYNCS and int(parts[3]) < 0:
            yield from _failed_sync(parts[2], folder)
        elif parts and int(parts[3]) >= 0:
            for call in _calls(parts[1], parts[2], int(parts[3]), folder):
                if not begun and isinstance(call, Said) and call.text == BEGIN:
                    begun = True
                elif begun:
                    yield call


def _whole_calls(trace: Path) -> Iterator[tuple[str, bool]]:
    """Yields each call as it returned and, before it, the begin of a close or sync, by whether it is only a begin."""
    waiting: dict[str, str] = {}
    number = 0
    with trace.open(encoding="ascii") as file:
        for line in file:
            matched = _LINE.match(line.rstrip("\n"))
            if matched is None:
                continue
            thread, text = matched.groups()
            resumed = _RESUMED.match(text)
            if resumed and thread in waiting:
                yield waiting.pop(thread) + resumed[1], False
                continue
            number += 1
            if text.startswith(_SYNCS):
                text = text.replace("(", f"({number},", 1)
            begins = text.removesuffix(_UNFINISHED)
            if text.startswith((*_SYNCS, "close")):
                yield begins, True
            if text.endswith(_UNFINISHED):
                waiting[thread] = begins
            else:
                yield text, False


def _begun_call(text: str, folder: Path) -> Iterator[Call]:
    """Yields what happens at the begin of a call: a descriptor is closed then, and a sync covers what was before."""
    name, _, arguments = text.partition("(")
    for place in _PLACE.finditer(arguments):
        if _below(_decode(place[2]).decode(), folder) is not None:
            descriptor = int(place[1])
            yield Close(descriptor) if name == "close" else SyncBegin(descriptor, int(arguments.partition(",")[0]))
        return


def _failed_sync(arguments: str, folder: Path) -> Iterator[Call]:
    for place in _PLACE.finditer(arguments):
        if _below(_decode(place[2]).decode(), folder) is not None:
            yield SyncFailed(int(arguments.partition(",")[0]))


def _calls(name: str, arguments: str, returned: int, folder: Path) -> Iterator[Call]:
    """Yields what a call did below the folder."""
    texts = [_decode(text) for text in _TEXT.findall(arguments)]
    places = [(place[1], _decode(place[2]).decode()) for place in _PLACE.finditer(arguments)]
    if name in ("write", "writev") and arguments.startswith("1<"):
        yield from (Said(line) for line in b"".join(texts).decode(errors="replace").splitlines())
    elif name in ("openat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir"):
        yield from _named_call(name, arguments, texts, places, returned, folder)
    elif places and _below(places[0][1], folder) is not None:
        yield from _descriptor_call(name, arguments, texts, int(places[0][0]), returned)
    elif name in _NOT_MODELED and any(_below(text.decode(errors="replace"), folder) is not None for text in texts):
        raise ValueError(f"the recorded program must change files by modeled calls alone, got {name}")


def _named_call(
    name: str, arguments: str, texts: list[bytes], places: list[tuple[str, str]], returned: int, folder: Path
) -> Iterator[Call]:
    """Yields what a call did that names its files by paths. A path may be relative to a folder's descriptor."""
    outside = any(place == "AT_FDCWD" for place, _ in places) or not places
    base = Path.cwd() if outside else Path(places[0][1])
    paths = [_below(str(base / text.decode()), folder) for text in texts]
    match [name, *paths]:
        case ["openat", str(path)]:
            flags = set(arguments.split(", ")[2].split("|"))
            asked = ("O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE")
            yield Open(path, returned, *(flag in flags for flag in asked))
        case ["mkdir" | "mkdirat", str(path)]:
            yield MakeFolder(path)
        case ["unlink" | "unlinkat" | "rmdir", str(path)]:
            yield Remove(path)
        case [_, str(old), str(new)]:
            yield Rename(old, new)
        case [_, None, None] | [_, None]:
            return
        case _:
            raise ValueError(f"files must not be moved into or out of the recorded folder, got {name} {texts}")


def _descriptor_call(name: str, arguments: str, texts: list[bytes], descriptor: int, returned: int) -> Iterator[Call]:
    """Yields what a call did to an opened file."""
    last = arguments.rsplit(", ", 1)[-1]
    if name in ("write", "writev"):
        yield Write(descriptor, b"".join(texts)[:returned])
    elif name in ("pwrite64", "pwritev"):
        yield Write(descriptor, b"".join(texts)[:returned], at=int(last))
    elif name == "sendfile":
        yield _copy(arguments, descriptor, returned)
    elif name == "lseek":
        yield Seek(descriptor, returned)
    elif name == "ftruncate":
        yield Truncate(descriptor, int(last))
    elif name in _SYNCS:
        yield SyncEnd(int(arguments.partition(",")[0]))
    elif name != "close":
        raise ValueError(f"the recorded program must change files by modeled calls alone, got {name}")


def _copy(arguments: str, descriptor: int, length: int) -> Copy:
    """Returns what sendfile copied. Its source must be below the folder, as TMPDIR of recorded programs is."""
    source, start = list(_PLACE.finditer(arguments))[1], re.search(r"\[(\d+)\]", arguments)
    if start is None:
        raise ValueError(f"sendfile must say where it begins, got {arguments}")
    return Copy(descriptor, int(source[1]), int(start[1]), length)


def _below(path: str, folder: Path) -> str | None:
    """Returns a path relative to the folder, or None where it is not below it."""
    if path == str(folder):
        return ""
    return path.removeprefix(f"{folder}/") if path.startswith(f"{folder}/") else None


def _decode(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
