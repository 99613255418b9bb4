"""The page of all commands: the help of each, without the flags that are settings."""

from __future__ import annotations

import contextlib
import importlib
import io
import re

from chunk_ppo_ros import __main__ as program
from chunk_ppo_ros.config import TrainConfig

_HEAD = """# Commands

Where a command takes settings, every [parameter](parameters/index.md) is a flag of it, and is left out here.

"""


def page() -> str:
    """Returns the page."""
    return _HEAD + "\n".join(_section(name, about) for name, (_, about) in program.COMMANDS.items())


def _section(name: str, about: str) -> str:
    text = help_text(name)
    return f"## {name}\n\n{about[:1].upper()}{about[1:]}.\n\n```text\n{text}\n```\n"


def help_text(name: str) -> str:
    """Returns what `--help` of a command prints, up to the first section of settings."""
    module = importlib.import_module(f"chunk_ppo_ros.{program.COMMANDS[name][0]}")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        module.main(["--help"])
    sections = "|".join(TrainConfig.__dataclass_fields__)
    head = re.split(rf"\n\n(?:{sections}):\n", printed.getvalue())[0].strip()
    return head.replace("__main__.py", "chunk_ppo")
