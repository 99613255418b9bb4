"""The parser of `doctor`, made without ROS."""

from __future__ import annotations

from chunk_ppo_ros.config.flags import FlagParser
from chunk_ppo_ros.config.flags.numbers import positive_number
from chunk_ppo_ros.runtime.robot_flags import robot_parser

SECONDS = 3.0
"""How long the command listens to the robot, s."""


def doctor_parser() -> FlagParser:
    """Returns the parser of `doctor`."""
    parser = robot_parser(
        "doctor",
        "Looks at a workstation and at a running robot, and says of each thing whether it is as it should be, and what "
        "to do where it is not. It commands nothing and changes nothing. It ends within a time limit, also where "
        "nothing runs. The exit status is 1 where something is an error.",
        examples=(
            ("--workstation", "looks at this machine only"),
            ("--params_file config/robot.yaml", "looks at the robot that the file describes, too"),
        ),
        first=("--workstation", "--seconds", "--json", "--pretrained_checkpoint_path", "--namespace"),
    )
    group = parser.add_argument_group("output", "what is looked at and how it is printed")
    group.add_argument("--json", action="store_true", help="print a JSON object instead of a table")
    group.add_argument("--workstation", action="store_true", help="look at this machine only, not at a robot")
    group.add_argument("--seconds", type=positive_number, default=SECONDS, help=f"how long to listen, s ({SECONDS:g})")
    return parser
