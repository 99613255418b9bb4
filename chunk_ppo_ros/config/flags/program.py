"""The name of the program, as it is typed, and how its commands are called. Nothing else spells it out."""

from __future__ import annotations

PROGRAM = "chunk_ppo"
"""The console script. `python -m chunk_ppo_ros` and `ros2 run chunk_ppo_ros chunk_ppo` are the same program."""


def command_line(*words: str) -> str:
    """Returns a command line of this program, such as `chunk_ppo train`."""
    return " ".join((PROGRAM, *words))
