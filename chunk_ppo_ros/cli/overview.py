"""Writes the list of commands that `--help` prints."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping

from chunk_ppo_ros.cli.exit_codes import EXIT_CODES
from chunk_ppo_ros.cli.table import Command
from chunk_ppo_ros.core.own_parts.tracebacks import FLAG

MAX_WIDTH, MIN_WIDTH = 110, 50
"""The largest and the smallest width of the text, in characters. In between it is that of the terminal."""


def overview(commands: Mapping[str, Command], *, program: str) -> str:
    """Returns how the program is used, its commands by group, and its exit codes."""
    columns = min(MAX_WIDTH, max(MIN_WIDTH, shutil.get_terminal_size().columns - 2))
    width = max(len(name) for name in commands)
    groups = dict.fromkeys(command.group for command in commands.values())
    parts = [f"usage: {program} COMMAND [arguments and flags]"]
    for group in groups:
        rows = [(name, command.line) for name, command in commands.items() if command.group == group]
        lines = [_row(name, line, width, columns) for name, line in rows]
        parts.append("\n".join([*([f"{group}:"] if group else []), *lines]))
    told = (
        f"{program} COMMAND --help shows examples and the flags that most people want first.",
        f"{program} COMMAND --help-all shows all flags.",
        f"{program} {FLAG} COMMAND also shows the traceback of an error, such as one in a task of your own.",
    )
    parts.append("\n".join(textwrap.fill(line, columns, break_on_hyphens=False) for line in told))
    codes = [_row(str(code), text, 3, columns) for code, text in EXIT_CODES.items()]
    parts.append("\n".join(["exit codes:", *codes]))
    return "\n\n".join(parts)


def _row(name: str, text: str, width: int, columns: int) -> str:
    indent = " " * (width + 4)
    return textwrap.fill(
        text, columns, initial_indent=f"  {name:<{width}}  ", subsequent_indent=indent, break_on_hyphens=False
    )
