"""Runs `python -m PACKAGE COMMAND`. A command is a module that has a function `main(arguments) -> int`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.runtime import interrupts

INTERRUPTED = 130
"""The exit status after Ctrl-C, which is 128 + SIGINT."""


def run_command(package: str, commands: Mapping[str, tuple[str, str]], arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status. An error that the user can repair is printed in one line.

    Args:
        package: package that contains the modules of the commands.
        commands: module, relative to the package, and a line that says what it does, for each name of a command.
        arguments: name of the command and its flags; the arguments of the process where not given.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(f"usage: python -m {package} COMMAND [--help | flags]\n")
        width = max(len(name) for name in commands)
        print("\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in commands.items()))
        return 0 if given else 2
    name = given[0]
    if name not in commands:
        print(f"{package}: unknown command '{name}'; commands are {', '.join(commands)}", file=sys.stderr)
        return 2
    interrupts.resend_dropped()
    try:
        return int(importlib.import_module(f"{package}.{commands[name][0]}").main(given[1:]))
    except UserError as error:
        print(f"{package} {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{package} {name}: stopped", file=sys.stderr)
        return INTERRUPTED


def leave(status: int) -> NoReturn:
    """Ends the process.

    After Ctrl-C it ends at once, because a thread in which XLA compiles can make Python crash while it ends.
    """
    if status == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
