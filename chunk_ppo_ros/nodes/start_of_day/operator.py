"""Asks the person at the robot."""

from __future__ import annotations

import sys
from typing import Protocol


class Operator(Protocol):
    """Answers questions about the robot."""

    def tell(self, text: str) -> None:
        """Takes a line about what happens."""

    def agrees(self, question: str) -> bool:
        """Returns whether the answer to a question is yes."""

    def choose(self, question: str, answers: tuple[str, ...]) -> str | None:
        """Returns one of the answers, or None where the person does not know, or nobody is asked."""


class Console:
    """A person at a terminal. An answer that is not yes is no, and so is the end of the input."""

    def tell(self, text: str) -> None:
        print(text, flush=True)

    def agrees(self, question: str) -> bool:
        return self._read(f"{question} [y/N] ").lower() in ("y", "yes")

    def choose(self, question: str, answers: tuple[str, ...]) -> str | None:
        given = self._read(f"{question} [{'/'.join(answers)}, empty for not known] ")
        return given if given in answers else None

    def _read(self, prompt: str) -> str:
        print(prompt, end="", flush=True)
        return sys.stdin.readline().strip()


class NobodyAsked(Console):
    """Says yes to what moves the robot, and nothing else, for tests and for a robot that is known to stand free."""

    def agrees(self, question: str) -> bool:
        self.tell(f"{question} yes (--yes)")
        return True

    def choose(self, question: str, answers: tuple[str, ...]) -> str | None:
        self.tell(f"{question} not asked (--yes)")
        return None
