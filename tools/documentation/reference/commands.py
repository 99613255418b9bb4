"""The page of all commands, each with its examples and its flags."""

from __future__ import annotations

import itertools
import re

from chunk_ppo_ros.cli.reference import CommandPage, Flag, describe_commands

_HEAD = """# Commands

A command that takes settings has every [parameter](parameters/index.md) as a flag. Of these flags only those are shown
that most people want first; `chunk_ppo COMMAND --help-all` has the rest.

"""
_HELP = {"--help", "--help-all"}


def page() -> str:
    """Returns the page, with the commands in the groups of `chunk_ppo --help`."""
    groups = itertools.groupby(describe_commands(), key=lambda command: command.group)
    parts = [f"## {_capital(group)}\n\n" + "\n".join(_section(command) for command in found) for group, found in groups]
    return _HEAD + "\n".join(parts)


def _section(command: CommandPage) -> str:
    examples = "".join(f"{line}    # {text}\n" for line, text in command.examples)
    parts = [f"### {command.name}", command.description.strip() or f"{_capital(command.line)}."]
    parts += [f"```text\nusage: {command.usage}\n```"]
    parts += [f"*Examples*\n\n```bash\n{examples}```"] if examples else []
    parts += [f"Values of absent flags: {command.defaults}."] if command.defaults else []
    rows = "".join(_row(flag) for flag in command.flags if _is_shown(flag))
    parts += [f"| flag | meaning |\n|---|---|\n{rows}"] if rows else []
    return "\n\n".join(parts) + "\n"


def _is_shown(flag: Flag) -> bool:
    return (flag.is_first or not flag.section) and not set(flag.names) & _HELP


def _row(flag: Flag) -> str:
    names = ", ".join(f"`{name}`" for name in flag.names)
    value = f" `{flag.value}`".replace("|", "\\|") if flag.value else ""
    default = f" Default: `{flag.default}`." if flag.default else ""
    return f"| {names}{value} | {_cell(_capital(flag.help))}.{default} |\n"


def _cell(text: str) -> str:
    """Returns a text in which Markdown finds no code, link or tag of its own, except code in backquotes."""
    plain = re.sub(r"([*<_\[])", r"\\\1", " ".join(text.split()).replace("%%", "%").rstrip("."))
    return plain.replace("|", "\\|")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
