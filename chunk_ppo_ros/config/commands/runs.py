"""The parsers of the commands that look at runs and at what they have stored."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.config.flags import FlagParser, command_line
from chunk_ppo_ros.config.flags.numbers import number_from, positive_number

RUN_HELP = "folder of the run, such as runs/mine, or its name below runs/"
CHECKPOINTS_HELP = "folder of the run's checkpoints; else checkpoints/RUN, beside the folder of the runs"
STORE_ACTIONS = ("list", "verify", "prune", "export")
ARMS = ("left", "right")


def report_parser() -> FlagParser:
    """Returns the parser of `report`."""
    parser = FlagParser(
        prog=command_line("report"),
        description=(
            "Writes the page and the plot of a run, whether it has ended, was stopped or still runs.\n\n"
            "Several runs are compared on one page. Those that differ only in the seed are a group, with means and "
            "95 % intervals over its runs."
        ),
        examples=(
            (command_line("report mine"), "writes the page, the summary and the plot into runs/mine"),
            (command_line("report seed0 seed1 seed2"), "writes runs/comparison.html"),
        ),
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN_HELP)
    parser.add_argument(
        "--to", type=Path, help="for several runs: file to write (comparison.html beside their folders)"
    )
    return parser


def replay_parser() -> FlagParser:
    """Returns the parser of `replay`."""
    parser = FlagParser(
        prog=command_line("replay"),
        description=(
            "Feeds a recorded run through reward_node and trainer_node again, and says how many transitions come out "
            "equal.\n\n"
            "reward_node gets all that the recorded one has handled, in the same order. It commands no robot: the two "
            "nodes are in a ROS domain of their own on this machine, and make the updates of the run too. The exit "
            "status is 1 where a transition differs."
        ),
        examples=(
            (command_line("replay runs/mine/bag"), "compares with the transitions of the recording"),
            (command_line("replay runs/mine/bag --compare runs/mine"), "compares with the store of the run too"),
            (command_line("replay runs/mine/bag --output runs/again"), "keeps the run that the replay makes"),
        ),
    )
    parser.add_argument("bag", help="folder of a recording, such as runs/mine/bag")
    parser.add_argument("--output", default="", help="folder of a run that is written, such as runs/again; else none")
    parser.add_argument("--compare", default="", help="folder of the recorded run, whose store is compared too")
    parser.add_argument(
        "--params_file", default="", help="settings of the recorded run; else params.yaml in BAG or the folder above"
    )
    parser.add_argument(
        "--patience", type=positive_number, default=600.0, help="longest time without an answer of a node, s"
    )
    return parser


def replay_updates_parser() -> FlagParser:
    """Returns the parser of `replay-updates`."""
    parser = FlagParser(
        prog=command_line("replay-updates"),
        description=(
            "Makes the updates of a run again from its stored transitions, and compares the weights to the bit.\n\n"
            "It begins at the oldest checkpoint from which all transitions are still stored. Each later checkpoint "
            "that was kept must have the same bits: parameters, optimizer, novelty and counters. Nothing is written. "
            "The exit status is 1 where weights differ."
        ),
        examples=((command_line("replay-updates mine"), "prints one line with what was compared"),),
    )
    parser.add_argument("run", help=RUN_HELP)
    _add_checkpoints(parser)
    return parser


def store_parser() -> FlagParser:
    """Returns the parser of `store`."""
    parser = FlagParser(
        prog=command_line("store"),
        description=(
            "Looks at what a run has stored, removes what was trained on, and writes it as bags. The exit status of "
            "`verify` is 1 where something is damaged."
        ),
        examples=(
            (command_line("store list mine"), "says what is stored of the run mine, and how large it is"),
            (command_line("store verify mine"), "reads everything and checks it"),
            (command_line("store export mine --to bags/mine"), "writes the transitions as bags"),
        ),
    )
    parser.add_argument("action", choices=STORE_ACTIONS, help="what to do: list, verify, prune or export")
    parser.add_argument("run", help=RUN_HELP)
    _add_checkpoints(parser, before="for prune: ")
    parser.add_argument(
        "--max_disk", type=number_from(0), dest="size", help="for prune: size that the transitions may have, GiB"
    )
    parser.add_argument(
        "--all_trained",
        action="store_true",
        help="for prune: also remove transitions that wait again after a rollback to an older checkpoint",
    )
    parser.add_argument("--to", default="", help="for export: folder to write, which must not exist")
    return parser


def rollback_parser() -> FlagParser:
    """Returns the parser of `rollback`."""
    parser = FlagParser(
        prog=command_line("rollback"),
        description="Takes a stopped run back to one of its checkpoints. Later checkpoints are set aside, not deleted.",
        examples=((command_line("rollback mine --to step_25"), "the run then goes on from step_25 by --resume"),),
    )
    parser.add_argument("run", help=RUN_HELP)
    parser.add_argument("--to", required=True, help="name of the checkpoint, such as step_25")
    _add_checkpoints(parser)
    parser.add_argument(
        "--leave_out",
        action="store_true",
        help="never train on the transitions that the undone weights have sampled; take this where settings change",
    )
    return parser


def command_stream_parser() -> FlagParser:
    """Returns the parser of `command-stream`."""
    parser = FlagParser(
        prog=command_line("command-stream"),
        description="Measures and draws how evenly robot_node commanded the robot in a recorded run.",
        examples=((command_line("command-stream runs/mine/bag"), "writes a picture and percentiles beside the bag"),),
    )
    parser.add_argument("bag", type=Path, help="a recording of a run in real time, such as runs/mine/bag")
    parser.add_argument("--out", type=Path, help="folder for the results (the folder that holds the recording)")
    parser.add_argument("--side", choices=ARMS, default="left", help="the arm (left)")
    parser.add_argument("--rate", type=positive_number, default=50.0, help="robot.control_rate of the run, Hz (50)")
    return parser


def _add_checkpoints(parser: FlagParser, *, before: str = "") -> None:
    parser.add_argument("--checkpoints", dest="checkpoint_folder", default="", help=f"{before}{CHECKPOINTS_HELP}")
