"""Describes all commands with their flags as data, for the pages that are generated from them.

It loads neither jax nor mujoco nor rclpy.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping

from chunk_ppo_ros.cli.table import COMMANDS, Command
from chunk_ppo_ros.config.flags import FlagParser
from chunk_ppo_ros.config.schema import shown

PACKAGE = "chunk_ppo_ros"


@dataclasses.dataclass(frozen=True)
class Flag:
    """An argument or a flag of a command.

    Attributes:
        names: how it is written, such as ("--no_wandb", "--no-wandb"); the name of an argument where it is no flag.
        value: what stands for its value, such as "PATH"; empty for a flag that takes none.
        help: what it does.
        default: the value that holds where it is absent; empty where the help says it, or where there is none.
        section: the heading under which `--help-all` shows it; empty for flags of the command itself.
        is_first: whether the short help shows it.
        is_required: whether it must be given.
    """

    names: tuple[str, ...]
    value: str
    help: str
    default: str
    section: str
    is_first: bool
    is_required: bool


@dataclasses.dataclass(frozen=True)
class CommandPage:
    """A command as its help describes it.

    Attributes:
        name: the word that is typed.
        group: what one wants to do with it.
        line: what it does, in one line.
        usage: the command and its required arguments.
        description: what it does, in paragraphs.
        examples: command lines to begin with, each with what it does.
        defaults: what the values of absent flags are those of; empty where the command has no settings.
        flags: its arguments and flags in the order of `--help-all`, without those that the help hides.
    """

    name: str
    group: str
    line: str
    usage: str
    description: str
    examples: tuple[tuple[str, str], ...]
    defaults: str
    flags: tuple[Flag, ...]


def describe_commands(commands: Mapping[str, Command] = COMMANDS) -> list[CommandPage]:
    """Returns all commands that have a parser of their own, in the order of `--help`."""
    made = ((name, command, command.make_parser(PACKAGE)) for name, command in commands.items())
    return [_page(name, command, parser) for name, command, parser in made if parser is not None]


def _page(name: str, command: Command, parser: FlagParser) -> CommandPage:
    section_of = {id(action): section.name for section in parser.sections for action in section.actions}
    actions = [action for action in parser.all_actions if action.help != argparse.SUPPRESS]
    return CommandPage(
        name=name,
        group=command.group,
        line=command.line,
        usage=parser.short_usage().partition(";")[0],
        description=parser.description or "",
        examples=parser.examples,
        defaults=parser.defaults.source if parser.defaults else "",
        flags=tuple(_flag(action, parser, section_of.get(id(action), "")) for action in actions),
    )


def _flag(action: argparse.Action, parser: FlagParser, section: str) -> Flag:
    place = parser.settings_of.get(action.dest)
    config = parser.defaults.config if parser.defaults and action.const is not False else None
    default = "" if place is None or config is None else shown(getattr(getattr(config, place), action.dest))
    names = tuple(action.option_strings) or (action.dest,)
    return Flag(
        names=names,
        value=_value(action),
        help=str(action.help),
        default=default,
        section=section,
        is_first=any(name in parser.first for name in names) or not (parser.first or action.dest in parser.settings_of),
        is_required=action.required,
    )


def _value(action: argparse.Action) -> str:
    """Returns what stands for the value of a flag; the choices where there are some."""
    if action.nargs == 0 or not action.option_strings:
        return ""
    if action.choices is not None and action.metavar is None:
        return "|".join(str(choice) for choice in action.choices)
    return str(action.metavar or action.dest.upper())
