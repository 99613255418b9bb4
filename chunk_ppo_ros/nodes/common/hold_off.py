"""Keeps a message that comes again and again from filling the log."""

from __future__ import annotations

import dataclasses
import re

HOLD_OFF = 5.0
"""The time for which a message of the same kind is only counted, s."""
MAX_KINDS = 64
"""The number of kinds of messages that are remembered."""


def kind_of(text: str) -> str:
    """Returns a message without its numbers. Messages of one kind differ in numbers alone."""
    return re.sub(r"[\d.]+", "0", text)


@dataclasses.dataclass
class _Kind:
    """Holds when a kind of message was logged, steady s, and how many came since."""

    logged_at: float
    num_since: int = 0


class HoldOff:
    """Says which messages are logged: the first of a kind, and then one in `HOLD_OFF` seconds with the count.

    Messages are of one kind where they differ in numbers alone.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def line(self, text: str, now: float) -> str | None:
        """Returns the line to log, or None where the message is only counted.

        Args:
            text: the message.
            now: the steady time, s.
        """
        name = kind_of(text)
        kind = self._kinds.get(name)
        if kind is not None and now - kind.logged_at < HOLD_OFF:
            kind.num_since += 1
            return None
        self._kinds.pop(name, None)
        self._kinds[name] = _Kind(now)
        if len(self._kinds) > MAX_KINDS:
            del self._kinds[next(iter(self._kinds))]
        return f"{text} ({kind.num_since} more like it before)" if kind is not None and kind.num_since else text
