"""Writes the list of commands that `--help` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from chunk_ppo_ros.cli.exit_codes import EXIT_CODES
from chunk_ppo_ros.cli.table import Command
from chunk_ppo_ros.core.own_parts.tracebacks import FLAG

WIDTH = 110
"""The width of the text, in characters."""


def overview(commands: Mapping[str, Command], *, program: str) -> str:
    """Returns how the program is used, its commands by group, and its exit codes."""
    width = max(len(name) for name in commands)
    groups = dict.fromkeys(command.group for command in commands.values())
    parts = [f"usage: {program} COMMAND [arguments and flags]"]
    for group in groups:
        lines = [_row(name, command.line, width) for name, command in commands.items() if command.group == group]
        parts.append("\n".join([*([f"{group}:"] if group else []), *lines]))
    parts.append(
        f"{program} COMMAND --help shows examples and the flags that most people want first.\n"
        f"{program} COMMAND --help-all shows all flags.\n"
        f"{program} {FLAG} COMMAND also shows the traceback of an error, such as one in a task of your own."
    )
    codes = [_row(str(code), text, 3) for code, text in EXIT_CODES.items()]
    parts.append("\n".join(["exit codes:", *codes]))
    return "\n\n".join(parts)


def _row(name: str, text: str, width: int) -> str:
    indent = " " * (width + 4)
    return textwrap.fill(text, WIDTH, initial_indent=f"  {name:<{width}}  ", subsequent_indent=indent)
