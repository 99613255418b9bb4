"""The parser of `operate`, made without ROS."""

from __future__ import annotations

from chunk_ppo_ros.config.flags import FlagParser
from chunk_ppo_ros.runtime.robot_flags import robot_parser
from chunk_ppo_ros.runtime.ros_domain import DDS_DOMAINS


def operate_parser() -> FlagParser:
    """Returns the parser of `operate`."""
    parser = robot_parser(
        "operate",
        "Shows an operator in one terminal what a run does and waits for, and takes keys and pedals.\n\n"
        "It needs the nodes of a run in the same ROS domain, and no command of ROS. It moves nothing by itself. When "
        "it is left, the graph goes on.",
        examples=(
            ("", "shows the run of the own ROS domain; ? lists the keys"),
            ("--domain_id 20", "shows the run of another ROS domain, which the graph has printed"),
            ("--headless --joy_buttons 0=success 1=failure", "serves pedals without a screen"),
        ),
        first=("--domain_id", "--namespace", "--headless", "--joy_buttons"),
    )
    group = parser.add_argument_group("screen", "where the run is, and whether a screen is shown")
    group.add_argument("--headless", action="store_true", help="show no screen and serve the pedals only")
    group.add_argument(
        "--domain_id",
        type=int,
        choices=DDS_DOMAINS,
        metavar=f"{DDS_DOMAINS.start}..{DDS_DOMAINS.stop - 1}",
        help="the ROS domain of the graph (ROS_DOMAIN_ID, or that of the graph on this machine)",
    )
    return parser
