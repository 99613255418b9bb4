"""The parsers of the commands that read recorded episodes."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.config.flags import FlagParser, add_config_flags, command_line

LEROBOT_IMAGES = ("h264", "av1", "png")
"""The ways in which `export-lerobot` keeps images. The first is the default."""


def inspect_parser() -> FlagParser:
    """Returns the parser of `inspect`."""
    parser = FlagParser(
        prog=command_line("inspect"),
        description=(
            "Looks at recorded episodes before they are used, and says of each finding whether it is fine, asked or "
            "refused. It changes nothing. Of a checkpoint it says what the checkpoint was made from and with."
        ),
        examples=(
            (command_line("inspect recordings/cup"), "says what is fine and what must be answered by a flag"),
            (command_line("inspect recordings/cup --picture cup.png"), "also draws frames and joint curves"),
            (command_line("inspect checkpoints/mine-imitation"), "says what a checkpoint was made from"),
        ),
        first=("--picture", "--json", "--prompt", "--arm_order", "--channel_order", "--insist"),
    )
    parser.add_argument("paths", nargs="+", type=Path, help="files and folders of recordings, or a checkpoint")
    parser.add_argument("--json", action="store_true", help="print a JSON object in place of text")
    parser.add_argument(
        "--picture", type=Path, help="PNG file of frames and joint curves of three episodes, which is written"
    )
    add_config_flags(parser, preset="full")
    return parser


def salvage_parser() -> FlagParser:
    """Returns the parser of `salvage`."""
    parser = FlagParser(
        prog=command_line("salvage"),
        description=(
            "Makes whole bags of the parts of a recording that were cut off, because the recorder was killed or the "
            "power failed. The exit status is 1 where a part stays cut off."
        ),
        examples=((command_line("salvage runs/mine/bag"), "prints a line for each part that was cut off"),),
    )
    parser.add_argument("bag", type=Path, help="folder of a recording, such as runs/mine/bag, or of one bag")
    return parser


def norm_stats_parser() -> FlagParser:
    """Returns the parser of `norm-stats`."""
    parser = FlagParser(
        prog=command_line("norm-stats"),
        description=(
            "Computes norm_stats.json from recorded episodes: mean, standard deviation and exact quantiles of states "
            "and chunks, as the policy will see them.\n\n"
            "Each control step of each episode starts a chunk, as in openpi's training. The transforms are those of "
            "the model (--adapt_to_pi, --delta_actions), which the policy must have too."
        ),
        examples=((command_line("norm-stats recordings/cup --output stats/cup"), "writes stats/cup/norm_stats.json"),),
        first=("--output", "--stride", "--config", "--action_horizon", "--adapt_to_pi", "--delta_actions"),
    )
    parser.add_argument("episodes", nargs="+", type=Path, help="HDF5 files, recordings, LeRobot datasets")
    parser.add_argument("--output", required=True, type=Path, help="folder that norm_stats.json is written to")
    parser.add_argument("--stride", type=int, default=1, help="control steps between the starts of two chunks (1)")
    add_config_flags(parser, preset="full")
    return parser


def train_classifier_parser() -> FlagParser:
    """Returns the parser of `train-classifier`."""
    parser = FlagParser(
        prog=command_line("train-classifier"),
        description=(
            "Trains a success classifier on the camera images of recorded episodes, each marked as a success or a "
            "failure.\n\n"
            "The last images of a successful episode show success, and all other images do not. So a recording must "
            "end right after the task is solved."
        ),
        examples=(
            (
                command_line("train-classifier recordings/door --output door.npz"),
                "use it by --sources classifier --classifier door.npz",
            ),
        ),
        first=("--output", "--num_steps", "--last_steps", "--cameras"),
    )
    parser.add_argument(
        "episodes", nargs="+", type=Path, help="files and folders of recorded episodes; see docs/recordings.md"
    )
    parser.add_argument("--output", type=Path, required=True, help="file to write, NAME.npz")
    parser.add_argument("--num_steps", type=int, default=1000, help="gradient steps (1000)")
    parser.add_argument("--last_steps", type=int, default=10, help="control steps at the end that show success (10)")
    add_config_flags(parser, preset="debug")
    return parser


def measure_imitation_parser() -> FlagParser:
    """Returns the parser of `measure-imitation`."""
    parser = FlagParser(
        prog=command_line("measure-imitation"),
        description=(
            "Measures on recorded episodes, without a robot, how well a checkpoint learned to imitate.\n\n"
            "It prints the likelihood of the recorded chunks by token and by joint, and the errors of greedily decoded "
            "chunks in degrees and in millimeters at the grippers, beside those of holding the state and of the mean "
            "chunk."
        ),
        examples=(
            (
                command_line("measure-imitation checkpoints/cup-imitation --episodes recordings/cup"),
                "measures the episodes that the imitation held out",
            ),
        ),
        first=("--episodes", "--held_out", "--measured_chunks", "--json"),
    )
    parser.add_argument("checkpoint", type=Path, help="an imitation, a step_<N> folder, or an openpi checkpoint")
    parser.add_argument("--episodes", nargs="+", type=Path, required=True, help="episodes, see docs/recordings.md")
    parser.add_argument(
        "--held_out",
        nargs="+",
        default=[],
        metavar="NAME",
        help="episodes to measure, by the ends of their names (those that the imitation held out, or else all)",
    )
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    add_config_flags(parser, preset="debug", from_checkpoint=True)
    return parser


def export_lerobot_parser() -> FlagParser:
    """Returns the parser of `export-lerobot`."""
    parser = FlagParser(
        prog=command_line("export-lerobot"),
        description=(
            "Writes a run, a bag or any recording that this package reads as a LeRobot dataset of version 3. LeRobot "
            "itself is not needed.\n\n"
            "A run that was recorded is read from its bag, in which each step has measured joint states. Without a bag "
            "the stored transitions are read, which hold joint states and images at the start of each chunk."
        ),
        examples=(
            (command_line("export-lerobot runs/mine mine_lerobot"), "writes the episodes of a run"),
            (command_line("export-lerobot recordings/cup cup_lerobot --images png"), "keeps each image exactly"),
        ),
        first=("--images", "--from_store", "--prompt", "--leave_out_episodes"),
    )
    parser.add_argument("source", help="the folder or the name of a run, a bag, HDF5 files, or a LeRobot dataset")
    parser.add_argument("output", type=Path, help="the folder of the dataset, which must not exist")
    parser.add_argument(
        "--images",
        choices=LEROBOT_IMAGES,
        default=LEROBOT_IMAGES[0],
        help=f"how images are kept: in videos, or exactly, as png in the rows ({LEROBOT_IMAGES[0]})",
    )
    parser.add_argument(
        "--from_store", action="store_true", help="take the stored transitions of a run although it has a bag"
    )
    add_config_flags(parser, preset="full")
    return parser
