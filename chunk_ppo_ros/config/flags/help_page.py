"""Writes the help of a command: examples, the flags that most people want first, and the rest by section."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import shutil
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from chunk_ppo_ros.config.flags.example_file import with_example_file
from chunk_ppo_ros.config.flags.help_request import HelpRequest
from chunk_ppo_ros.config.presets import ABOUT, MODELS, PRESETS
from chunk_ppo_ros.config.schema import shown
from chunk_ppo_ros.config.train import TrainConfig

if TYPE_CHECKING:
    from chunk_ppo_ros.config.flags.parser import FlagParser

MAX_WIDTH = 110
"""The largest width of the text, in characters."""
FIRST = "flags that most people want first"
OWN = "flags of this command"


@dataclasses.dataclass(frozen=True)
class Section:
    """The flags under one heading.

    Attributes:
        name: the heading, which `--help` takes.
        about: what the flags are about.
        actions: the flags, those that the help hides as well.
    """

    name: str
    about: str
    actions: tuple[argparse.Action, ...]

    @property
    def summary(self) -> str:
        """The first line of what the flags are about."""
        return self.about.strip().partition("\n")[0]


@dataclasses.dataclass(frozen=True)
class Defaults:
    """What the settings are where no flag says otherwise.

    Attributes:
        config: the values.
        source: what they are those of, such as "preset debug".
    """

    config: TrainConfig
    source: str


class HelpPage:
    """The help of a command.

    Args:
        parser: the parser of the command.
        request: what is asked for. A preset or a size of the model that is unknown is taken for none.
    """

    def __init__(self, parser: FlagParser, request: HelpRequest) -> None:
        self._parser, self._request = parser, request
        self._settings = _in_force(parser.defaults, request) if parser.defaults else None
        self._width = min(MAX_WIDTH, shutil.get_terminal_size().columns - 2)

    def text(self) -> str:
        """Returns the text, which ends with a newline."""
        if self._request.section:
            parts = [self._defaults(), self._section_named(self._request.section)]
        else:
            parts = [f"usage: {self._parser.short_usage()}", self._description(), self._examples()]
            parts += self._everything() if self._request.shows_all else self._most_wanted()
        return with_example_file("\n\n".join(part.rstrip("\n") for part in parts if part) + "\n")

    def _description(self) -> str:
        text = (self._parser.description or "").strip()
        paragraphs = text.split("\n\n")
        return "\n\n".join(textwrap.fill(" ".join(paragraph.split()), self._width) for paragraph in paragraphs)

    def _examples(self) -> str:
        if not self._parser.examples:
            return ""
        lines = [part for line, text in self._parser.examples for part in (f"  {line}", f"      {text}")]
        return "\n".join(["examples:", *lines])

    def _defaults(self) -> str:
        if self._settings is None:
            return ""
        absent = (
            "neither a flag nor a checkpoint gives a setting" if self._parser.from_checkpoint else "a flag is absent"
        )
        text = f"Values in brackets hold where {absent}. They are those of {self._settings.source}."
        return textwrap.fill(text, self._width)

    def _most_wanted(self) -> list[str]:
        flags = [action for action in self._parser.all_actions if action.option_strings]
        own = [action for action in flags if not self._is_setting(action)]
        first = [action for name in self._parser.first for action in flags if name in action.option_strings]
        title = FIRST if self._parser.first else OWN
        return [
            self._listing("arguments", self._arguments()),
            self._defaults(),
            self._listing(title, first or own),
            self._rest(),
        ]

    def _rest(self) -> str:
        """Returns the names of the sections, each with what it is about."""
        sections = self._parser.sections
        if not sections:
            return "--help-all shows all flags." if self._parser.first else ""
        width = max(len(section.name) for section in sections)
        lines = [f"  {section.name:<{width}}  {section.summary}" for section in sections]
        title = "further flags, by section; --help SECTION shows one of them, and --help-all shows all:"
        return "\n".join([title, *lines])

    def _everything(self) -> list[str]:
        sections = self._parser.sections
        grouped = [action for section in sections for action in section.actions]
        own = [action for action in self._parser.all_actions if action.option_strings and action not in grouped]
        return [
            self._listing("arguments", self._arguments()),
            self._defaults(),
            self._listing(OWN, own),
            *(self._section_named(section.name) for section in sections),
            self._parser.epilog or "",
        ]

    def _section_named(self, name: str) -> str:
        section = next(section for section in self._parser.sections if section.name == name)
        return self._listing(name, section.actions, section.about)

    def _listing(self, title: str, actions: Iterable[argparse.Action], about: str = "") -> str:
        """Returns a heading and a line or more for each flag; empty where there is none."""
        formatter = argparse.HelpFormatter("", max_help_position=34, width=self._width)
        formatter.start_section(title)
        if about:
            formatter.add_text(about)
        formatter.add_arguments([self._with_value(action) for action in actions])
        formatter.end_section()
        return formatter.format_help()

    def _with_value(self, action: argparse.Action) -> argparse.Action:
        """Returns a setting's flag with its value in brackets behind its help. Other flags are returned as they are."""
        place = self._parser.settings_of.get(action.dest)
        if place is None or self._settings is None or action.help == argparse.SUPPRESS or action.const is False:
            return action
        value = shown(getattr(getattr(self._settings.config, place), action.dest))
        described = copy.copy(action)
        described.help = f"{action.help} ({value})" if value else action.help
        return described

    def _arguments(self) -> list[argparse.Action]:
        return [action for action in self._parser.all_actions if not action.option_strings]

    def _is_setting(self, action: argparse.Action) -> bool:
        return action.dest in self._parser.settings_of


def _in_force(defaults: Defaults, request: HelpRequest) -> Defaults:
    """Returns the settings of the preset and of the size that the user names, or the defaults."""
    if request.preset in PRESETS:
        source = f"preset {request.preset} (--config): {ABOUT[request.preset]}"
        defaults = Defaults(PRESETS[request.preset], source)
    if request.model not in MODELS:
        return defaults
    config = dataclasses.replace(defaults.config, model=MODELS[request.model])
    return Defaults(config, f"the model {request.model} (--model) and of {defaults.source}")
