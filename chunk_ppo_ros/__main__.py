"""The program `chunk_ppo`, which `python -m chunk_ppo_ros` and `ros2 run chunk_ppo_ros chunk_ppo` start too."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from chunk_ppo_ros.cli.exit_codes import INTERRUPTED
from chunk_ppo_ros.cli.leaving import leave
from chunk_ppo_ros.cli.table import COMMANDS

PACKAGE = "chunk_ppo_ros"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    from chunk_ppo_ros.cli.commands import run_command

    return run_command(PACKAGE, COMMANDS, arguments)


def run() -> NoReturn:
    """Runs the command of the process's arguments, or answers the shell that asks for completions.

    What takes time to import is imported here, so that a Ctrl-C meanwhile leaves no traceback.
    """
    try:
        from chunk_ppo_ros.cli import completion

        if completion.is_asked():
            completion.complete(PACKAGE, COMMANDS)
        status = main()
    except SystemExit as end:  # after help or a wrong flag
        status = end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        status = INTERRUPTED
    leave(status)


if __name__ == "__main__":
    run()
