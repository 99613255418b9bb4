"""Damages single files of a recording: cuts them, flips bits, overwrites blocks, and takes them away."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

_ENDS = 2048
"""The number of bytes at both ends of a file that half of the flips hit, because headers and indices are there."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """What was done to a recording.

    Attributes:
        kind: the kind of the fault.
        text: what was done, with the file below the recording's folder.
        keeps_order: whether the recording may lose episodes or steps, but may not get other values.
        is_flip: whether single bits were flipped, after which only the value that was hit may differ.
    """

    kind: str
    text: str
    keeps_order: bool = False
    is_flip: bool = False


def _choose_file(folder: pathlib.Path, random: np.random.Generator) -> tuple[pathlib.Path, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    file = files[random.integers(len(files))]
    return file, file.read_bytes()


def _cut(folder: pathlib.Path, random: np.random.Generator) -> Fault:
    file, content = _choose_file(folder, random)
    length = int(random.integers(len(content)))
    file.write_bytes(content[:length])
    return Fault("cut", f"{file.relative_to(folder)} to {length} of {len(content)} bytes", keeps_order=True)


def _flip(folder: pathlib.Path, random: np.random.Generator) -> Fault:
    file, content = _choose_file(folder, random)
    span = len(content) if random.random() < 0.5 else min(_ENDS, len(content))
    place = int(random.integers(span))
    if span < len(content) and random.random() < 0.5:
        place = len(content) - 1 - place
    changed = bytearray(content)
    changed[place] ^= 1 << int(random.integers(8))
    file.write_bytes(changed)
    text = f"byte {place} of {file.relative_to(folder)} from {content[place]:#04x} to {changed[place]:#04x}"
    return Fault("flip", text, is_flip=True)


def _overwrite(folder: pathlib.Path, random: np.random.Generator) -> Fault:
    file, content = _choose_file(folder, random)
    place, length = int(random.integers(len(content))), int(random.integers(1, 64))
    block = bytes(length) if random.random() < 0.5 else random.bytes(length)
    file.write_bytes((content[:place] + block + content[place + length :])[: len(content)])
    return Fault("overwrite", f"{length} bytes at {place} of {file.relative_to(folder)}")


def _extend(folder: pathlib.Path, random: np.random.Generator) -> Fault:
    file, content = _choose_file(folder, random)
    file.write_bytes(content + random.bytes(int(random.integers(1, 200))))
    return Fault("extend", f"random bytes after {file.relative_to(folder)}")


def _remove(folder: pathlib.Path, random: np.random.Generator) -> Fault:
    file, _ = _choose_file(folder, random)
    file.unlink()
    return Fault("remove", str(file.relative_to(folder)), keeps_order=True)


def _empty(folder: pathlib.Path, random: np.random.Generator) -> Fault:
    file, _ = _choose_file(folder, random)
    file.write_bytes(b"")
    return Fault("empty", str(file.relative_to(folder)), keeps_order=True)


BYTE_FAULTS: tuple[Callable[[pathlib.Path, np.random.Generator], Fault], ...] = (
    _cut,
    _flip,
    _flip,
    _overwrite,
    _extend,
    _remove,
    _empty,
)
"""The faults of bytes. Flips come twice as often as others."""
