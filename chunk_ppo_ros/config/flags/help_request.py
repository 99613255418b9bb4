"""Reads from the arguments of a command which help is asked for, and of which preset it shows the values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

HELP_FLAGS = ("-h", "--help")
HELP_ALL_FLAG = "--help-all"


@dataclasses.dataclass(frozen=True)
class HelpRequest:
    """The help that the arguments ask for.

    Attributes:
        section: the section whose flags are shown; empty for the short help.
        shows_all: whether all flags are shown.
        preset: the preset that the arguments name; empty where they name none.
        model: the size of the model that they name; empty where they name none.
    """

    section: str = ""
    shows_all: bool = False
    preset: str = ""
    model: str = ""

    @classmethod
    def of(cls, arguments: Sequence[str]) -> HelpRequest | None:
        """Returns what the arguments ask for, or None where they ask for no help."""
        shows_all = HELP_ALL_FLAG in arguments
        asked = [place for place, word in enumerate(arguments) if word.partition("=")[0] in HELP_FLAGS]
        if not asked and not shows_all:
            return None
        preset, model = _value(arguments, "--config"), _value(arguments, "--model")
        return cls(_section(arguments, asked[0]) if asked else "", shows_all, preset, model)


def _section(arguments: Sequence[str], place: int) -> str:
    """Returns the word that belongs to `--help`, or an empty text."""
    _, given, section = arguments[place].partition("=")
    following = arguments[place + 1 : place + 2]
    if given or not following or following[0].startswith("-"):
        return section
    return following[0]


def _value(arguments: Sequence[str], flag: str) -> str:
    """Returns the last value of a flag, in one of its two forms; empty where it is not given."""
    value = ""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == flag:
            value = following
        elif word.startswith(f"{flag}="):
            value = word.partition("=")[2]
    return value
