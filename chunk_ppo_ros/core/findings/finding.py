"""What a check finds: the command `doctor` and the check at the start of a day say it alike."""

from __future__ import annotations

import dataclasses
import enum


class Level(enum.Enum):
    """How much a finding matters."""

    OK = "OK"
    WARN = "WARN"
    ERROR = "ERROR"
    SKIPPED = "SKIPPED"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        level: how much it matters.
        found: what was found, with its value; where the check was left out, the reason.
        advice: what to do; empty where there is nothing to do.
    """

    name: str
    level: Level
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Finding:
    """Returns a finding that is as it should be."""
    return Finding(name, Level.OK, found)


def warn(name: str, found: str, advice: str) -> Finding:
    """Returns a finding with which the robot may work, but should not be left as it is."""
    return Finding(name, Level.WARN, found, advice)


def error(name: str, found: str, advice: str) -> Finding:
    """Returns a finding with which the robot cannot work, or must not."""
    return Finding(name, Level.ERROR, found, advice)


def skipped(name: str, reason: str) -> Finding:
    """Returns a check that was left out, with the reason."""
    return Finding(name, Level.SKIPPED, reason)
