"""The parsers of `topic` and `call`, which do without the command `ros2` what one needs to look at a graph."""

from __future__ import annotations

from chunk_ppo_ros.config.flags import FlagParser, command_line
from chunk_ppo_ros.config.flags.numbers import number_from, positive_number, whole_number_from
from chunk_ppo_ros.runtime.ros_domain import DDS_DOMAINS

TOPIC_ACTIONS = ("list", "echo", "hz", "pub")
DOMAIN_HELP = "the ROS domain of the graph (ROS_DOMAIN_ID, or that of the graph on this machine)"


def topic_parser() -> FlagParser:
    """Returns the parser of `topic`."""
    parser = FlagParser(
        prog=command_line("topic"),
        description=(
            "Looks at the topics of a running graph, and publishes on one. It is a small part of `ros2 topic`, with "
            "the same words, for machines without ROS's own commands. Ctrl-C ends it."
        ),
        examples=(
            (command_line("topic list --types"), "prints all topics, with types and numbers of nodes"),
            (command_line("topic echo /episode_state --once"), "says what the run does and waits for"),
            (command_line("topic echo /training_metrics --field policy_loss"), "prints one number of each update"),
            (command_line("topic hz /follower_left/joint_states"), "measures the rate of a topic"),
            (command_line("topic pub /human_feedback std_msgs/msg/Float32 '{data: 1.0}'"), "says that a chunk is good"),
        ),
        first=("--once", "--times", "--field", "--types", "--domain_id"),
    )
    parser.add_argument("action", choices=TOPIC_ACTIONS, help="what to do: list, echo, hz or pub")
    parser.add_argument("name", nargs="?", default="", help="the topic, such as /episode_state; for all but list")
    parser.add_argument(
        "message",
        nargs="*",
        default=[],  # Without a default argparse would call it required in the error of another argument.
        metavar="TYPE FIELDS",
        help="for pub: std_msgs/msg/Float32 '{data: 1.0}', for example",
    )
    parser.add_argument("--types", action="store_true", help="for list: also types and numbers of nodes")
    parser.add_argument("--once", action="store_true", help="for echo: end after the first message; pub sends one")
    parser.add_argument(
        "--times", type=whole_number_from(0), default=0, help="for echo: end after so many messages (0: on Ctrl-C)"
    )
    parser.add_argument("--field", default="", help="for echo: one field alone, such as header.stamp")
    parser.add_argument("--full_length", action="store_true", help="for echo: print long arrays whole")
    parser.add_argument("--seconds", type=positive_number, default=10.0, help="for hz: how long to listen, s (10)")
    parser.add_argument(
        "--timeout",
        type=number_from(0),
        default=0.0,
        help="for echo and hz: end with an error after this silence, s (0: never)",
    )
    _add_domain(parser)
    return parser


def call_parser() -> FlagParser:
    """Returns the parser of `call`."""
    parser = FlagParser(
        prog=command_line("call"),
        description=(
            "Calls a service of a running graph, with the arguments of `ros2 service call`. The type may be left out. "
            "`operate` has keys for most services."
        ),
        examples=(
            (command_line("call --list"), "prints the services of the nodes"),
            (command_line("call /reward_node/start_episode"), "the scene is ready: the robot moves from now on"),
            (command_line("call /reward_node/end_episode '{outcome: 1}'"), "marks the episode as a success"),
        ),
        first=("--list", "--timeout", "--domain_id"),
    )
    parser.add_argument("name", nargs="?", default="", help="the service, such as /reward_node/start_episode")
    parser.add_argument(
        "rest", nargs="*", default=[], metavar="TYPE_OR_REQUEST", help="the type, the request as YAML, or both"
    )
    parser.add_argument("--list", action="store_true", help="print the services of the nodes")
    parser.add_argument("--timeout", type=positive_number, default=30.0, help="how long to wait for the answer, s (30)")
    _add_domain(parser)
    return parser


def _add_domain(parser: FlagParser) -> None:
    parser.add_argument(
        "--domain_id", type=int, choices=DDS_DOMAINS, metavar=f"0..{DDS_DOMAINS.stop - 1}", help=DOMAIN_HELP
    )
