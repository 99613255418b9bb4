"""What is written while system calls are recorded, and what must be true of it after a power cut."""

from __future__ import annotations

import abc
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

_SIZES = (0, 1, 200, 511, 512, 700, 1500)
"""Lengths of the written payloads, bytes, around that of a sector."""


class Case(abc.ABC):
    """Something that is stored.

    Attributes:
        name: the name of the case.
        num_sessions: the number of processes that write, one after the other.
        faults: for each process, the system calls that fail in it, as strace's option `inject` takes them.
        must_fail: whether a cut must lose something. Such a case shows that the replay finds what is wrong.
    """

    name: ClassVar[str]
    num_sessions: ClassVar[int] = 1
    faults: ClassVar[Sequence[Sequence[str]]] = ()
    must_fail: ClassVar[bool] = False

    @abc.abstractmethod
    def write(self, folder: Path, session: int) -> None:
        """Writes below the folder, and says what others rely on. This runs in a process of its own.

        Args:
            folder: the folder, which the sessions before have filled.
            session: the number of the process, from 0 on.
        """

    @abc.abstractmethod
    def judge(self, folder: Path, said: Sequence[str]) -> str:
        """Goes on from what a cut has left, and returns what is wrong, or an empty text.

        Args:
            folder: a copy of what is left, which may be changed.
            said: what was said before the cut.
        """


def say(text: str) -> None:
    """Says something on which others rely from now on, as an acknowledgment or an announcement."""
    os.write(1, f"{text}\n".encode())


def numbers(said: Sequence[str], word: str) -> list[int]:
    """Returns the numbers that were said after a word."""
    return [int(line.split()[1]) for line in said if line.split()[0] == word]


def payload(number: int) -> bytes:
    """Returns the bytes that are written under a number. They are as random as the bytes of an image."""
    source = random.Random(number)
    return source.randbytes(source.choice(_SIZES))


def differences(found: dict[int, bytes], promised: Sequence[int]) -> str:
    """Returns which promised numbers are missing, and which of the found payloads are wrong, or an empty text."""
    missing = sorted(set(promised) - found.keys())
    wrong = sorted(number for number, content in found.items() if content != payload(number))
    return " and ".join(text for text in (missing and f"lost {missing}", wrong and f"wrong content of {wrong}") if text)
