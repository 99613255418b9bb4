"""Becomes a program that cannot outlive the process that started it.

The command is `python -m chunk_ppo_ros.runtime.supervised_program PARENT_ID PROGRAM ARGUMENTS`. What the program starts
itself is not ended with it.
"""

from __future__ import annotations

import os
import sys

from chunk_ppo_ros.runtime.supervised import die_with_parent

CANNOT_START = 126
"""The status with which the process ends where the program cannot be started, as of a shell."""

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    try:
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as error:
        print(f"{sys.argv[2]} cannot be started: {error}", file=sys.stderr)
        sys.exit(CANNOT_START)
