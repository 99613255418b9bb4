"""The program `chunk_ppo`, which `python -m chunk_ppo_ros` and `ros2 run chunk_ppo_ros chunk_ppo` start too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from chunk_ppo_ros.cli import completion
from chunk_ppo_ros.cli.commands import leave, run_command
from chunk_ppo_ros.cli.table import COMMANDS

PACKAGE = "chunk_ppo_ros"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    return run_command(PACKAGE, COMMANDS, arguments)


def run() -> NoReturn:
    """Runs the command of the process's arguments, or answers the shell that asks for completions."""
    if completion.is_asked():
        completion.complete(PACKAGE, COMMANDS)
    leave(main())


if __name__ == "__main__":
    run()
