"""The name of the program, as it is typed, how its commands are called, and the name of its variable."""

from __future__ import annotations

PROGRAM = "chunk_ppo"
"""The console script. `python -m chunk_ppo_ros` and `ros2 run chunk_ppo_ros chunk_ppo` are the same program."""

SHOWS_PROGRESS = "CHUNK_PPO_SHOWS_PROGRESS"
"""The variable by which a process tells the processes whose output it reads that it shows bars of progress, as "1"."""


def command_line(*words: str) -> str:
    """Returns a command line of this program, such as `chunk_ppo train`."""
    return " ".join((PROGRAM, *words))
