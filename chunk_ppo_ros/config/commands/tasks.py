"""The parser of `check-task`, for those who write a task of their own."""

from __future__ import annotations

from chunk_ppo_ros.config.flags import FlagParser, add_config_flags, command_line

CHECKED_EPISODES = 20
"""The number of episodes of random motions that a check makes by default."""


def check_task_parser() -> FlagParser:
    """Returns the parser of `check-task`."""
    parser = FlagParser(
        prog=command_line("check-task"),
        description=(
            "Checks a task of the simulator before anybody trains on it, and says what to do about what is wrong.\n\n"
            "It draws layouts, moves the arms at random, looks through the cameras, and lets the scripted expert "
            "work if there is one. It takes some seconds and needs no weights."
        ),
        examples=(
            (command_line("check-task my_package.my_task:MyTask"), "checks a class of your own"),
            (command_line("check-task reach --picture reach.png"), "also draws the images of three starts"),
        ),
        first=("--episodes", "--picture", "--json", "--simulator", "--task_settings"),
    )
    parser.add_argument("checked", metavar="TASK", help="a registered task, or module:Class of your own")
    parser.add_argument(
        "--episodes", type=int, default=CHECKED_EPISODES, help=f"episodes of random motions ({CHECKED_EPISODES})"
    )
    parser.add_argument("--picture", help="PNG file for the images of three starts")
    parser.add_argument("--json", action="store_true", help="print a JSON object instead of a table")
    add_config_flags(parser, preset="debug")
    return parser
