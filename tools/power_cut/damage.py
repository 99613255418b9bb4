"""Cuts stored files and flips bits in them at random, and judges what is read then.

What is read must be what was written, or a beginning of it, or an error or hole must say what is missing.
"""

from __future__ import annotations

import abc
import collections
import dataclasses
import random
import shutil
from pathlib import Path
from typing import ClassVar

from chunk_ppo_ros.core.errors import UserError

_ENDS = 300
"""The number of bytes at both ends of a file that half of the flips hit, because headers and marks are there."""

KINDS = ("cut", "flip")


class Stored(abc.ABC):
    """A kind of stored file.

    Attributes:
        name: the name of the kind.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def write(self, folder: Path) -> None:
        """Writes the whole files below an empty folder."""

    def files(self, folder: Path) -> list[Path]:
        """Returns the files that are damaged."""
        return sorted(path for path in folder.rglob("*") if path.is_file())

    @abc.abstractmethod
    def judge(self, folder: Path) -> str:
        """Reads damaged files as a process that goes on from them. Returns what is wrong, or an empty text.

        Raises:
            UserError: when the reader names the damage.
        """


@dataclasses.dataclass(frozen=True)
class Damaged:
    """The result for one kind of file: the numbers of damages, of those that were refused, and what was wrong."""

    name: str
    counts: collections.Counter[str]
    refused: int
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        """Returns one line with the counts."""
        counts = " ".join(f"{kind}s={self.counts[kind]}" for kind in KINDS)
        return f"stored={self.name} {counts} refused={self.refused} wrong={len(self.wrong)}"


def damage(stored: Stored, folder: Path, *, count: int, seed: int) -> Damaged:
    """Damages copies of the files of a kind, each in one place.

    Args:
        stored: the kind.
        folder: an empty folder.
        count: the number of cuts, and of flips.
        seed: the seed of what is random.
    """
    whole, copy = folder / "whole", folder / "copy"
    whole.mkdir()
    stored.write(whole)
    text = stored.judge(_copied(whole, copy))
    if text:
        raise ValueError(f"{stored.name} must be read whole where nothing is damaged, got: {text}")
    source = random.Random(seed)
    counts: collections.Counter[str] = collections.Counter()
    refused, wrong = 0, []
    for number in range(count * len(KINDS)):
        kind = KINDS[number % len(KINDS)]
        done = _damage(source.choice(stored.files(_copied(whole, copy))), kind, source)
        counts[kind] += 1
        try:
            text = stored.judge(copy)
        except UserError:
            refused += 1
        except Exception as error:  # Whatever else ends the reader is a fault.
            text = f"{type(error).__name__}: {error}"
        if text:
            wrong.append(f"{done}: {text}")
            text = ""
    return Damaged(stored.name, counts, refused, tuple(wrong))


def _copied(whole: Path, copy: Path) -> Path:
    shutil.rmtree(copy, ignore_errors=True)
    return Path(shutil.copytree(whole, copy))


def _damage(file: Path, kind: str, source: random.Random) -> str:
    """Damages a file, and returns what was done."""
    content = bytearray(file.read_bytes())
    if kind == "cut" or not content:
        length = source.randrange(len(content)) if content else 0
        file.write_bytes(content[:length])
        return f"{file.name} cut to {length} of {len(content)} bytes"
    place = source.randrange(len(content))
    if source.random() < 0.5:
        place = source.choice([*range(len(content))[:_ENDS], *range(len(content))[-_ENDS:]])
    bit = source.randrange(8)
    content[place] ^= 1 << bit
    file.write_bytes(content)
    return f"bit {bit} of byte {place} of {file.name} flipped"
