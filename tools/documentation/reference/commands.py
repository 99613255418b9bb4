"""The page of all commands: the help of each, without the flags that are settings."""

from __future__ import annotations

from chunk_ppo_ros.cli.table import COMMANDS

_HEAD = """# Commands

Where a command takes settings, every [parameter](parameters/index.md) is a flag of it, and is left out here.

"""


def page() -> str:
    """Returns the page."""
    return _HEAD + "\n".join(_section(name, command.line) for name, command in COMMANDS.items())


def _section(name: str, about: str) -> str:
    return f"## {name}\n\n{about[:1].upper()}{about[1:]}.\n\n```text\n{help_text(name)}\n```\n"


def help_text(name: str) -> str:
    """Returns what `--help` of a command prints: examples, and the flags that most people want first."""
    parser = COMMANDS[name].make_parser("chunk_ppo_ros")
    if parser is None:
        raise ValueError(f"the command {name} must have a parser in its row of the table, got none; name it there")
    return parser.format_help().strip()
