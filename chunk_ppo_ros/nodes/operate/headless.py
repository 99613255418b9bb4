"""Runs pedals without a screen: what is waited for, questions and answers are printed, one line each."""

from __future__ import annotations

import time
from collections.abc import Callable

from chunk_ppo_ros.nodes.operate.headline import Headline, Kind, headline
from chunk_ppo_ros.nodes.operate.panels import answer_line, warning_lines
from chunk_ppo_ros.nodes.operate.picture import Picture
from chunk_ppo_ros.nodes.operate.session import Session

PERIOD = 0.1
"""The time between two looks at the picture, s."""


class Printer:
    """Prints what has changed since it last looked.

    Args:
        tell: prints a line.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: dict[str, str] = {}

    def look(self, picture: Picture, *, now: float) -> None:
        """Prints the headline, the newest answer and the worst warning where they are new. `now` is steady s."""
        self._say("headline", _line(headline(picture, now=now)))
        if picture.answer is not None and picture.answer.success is not None:
            self._say("answer", answer_line(picture.answer, now=now))
        self._say("warnings", "; ".join(line for line in warning_lines(picture) if line.startswith(("GONE", "PEDAL"))))

    def _say(self, about: str, text: str) -> None:
        if self._told.get(about, "") != text:
            self._told[about] = text
            if text:
                self._tell(text)


def run_headless(session: Session, tell: Callable[[str], None]) -> None:
    """Serves the pedals until Ctrl-C."""
    printer = Printer(tell)
    while True:
        session.work()
        printer.look(session.board.picture, now=time.monotonic())
        time.sleep(PERIOD)


def _line(shown: Headline) -> str:
    """Returns a headline in one line. What goes on changes with every chunk and is left out, as are keys."""
    waits_for = "" if shown.kind is Kind.RUN else shown.waits_for
    does = "" if shown.key else shown.does
    return ". ".join(text.rstrip(".") for text in (shown.title, waits_for, does) if text)
