"""The parser of `start-of-day`, made without ROS."""

from __future__ import annotations

from chunk_ppo_ros.config.flags import FlagParser
from chunk_ppo_ros.config.flags.numbers import number_from, positive_number
from chunk_ppo_ros.nodes.start_of_day.pace import Pace
from chunk_ppo_ros.runtime.robot_flags import robot_parser


def start_of_day_parser() -> FlagParser:
    """Returns the parser of `start-of-day`."""
    parser = robot_parser(
        "start-of-day",
        "Tries the robot at the start of a day: each joint moves by 2 degrees and back, the grippers open and close."
        "\n\n"
        "The drivers, the cameras and robot_node must run, and no episode. The operator is asked before anything "
        "moves. Direction and following of each joint are checked, and whether each wrist camera is on the arm that "
        "its name says. A report with pictures is written into the folder of the run. The exit code is 1 where "
        "something is an error.",
        examples=(("--params_file config/robot.yaml", "asks, moves, looks, and prints where its report is"),),
        first=("--speed", "--yes", "--namespace"),
    )
    pace, group = Pace(), parser.add_argument_group("motion", "how the robot moves")
    group.add_argument(
        "--speed", type=positive_number, default=pace.speed, help=f"speed of the joints, rad/s ({pace.speed:g})"
    )
    group.add_argument(
        "--gripper_speed",
        type=positive_number,
        default=pace.gripper_speed,
        help="openings a second (robot.scripted_velocity)",
    )
    group.add_argument(
        "--settling", type=number_from(0), default=pace.settling, help=f"seconds before each look ({pace.settling:g})"
    )
    group.add_argument("--yes", action="store_true", help="ask nobody; only where the robot is known to stand free")
    return parser
