"""Runs a program in a Python process of its own, in which nothing is imported yet."""

from __future__ import annotations

import subprocess
import sys

TIME_LIMIT = 120.0  # s, after which the process is ended and the test fails


def run_program(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Returns how a program ended and what it wrote.

    Args:
        program: the text of the program.
        words: the words of its command line.
    """
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
