"""The parsers of `deploy` and `evaluate`, made without loading what they do."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from chunk_ppo_ros.config.flags import FlagParser, add_config_flags, command_line
from chunk_ppo_ros.config.flags.numbers import whole_number_from
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.runtime.graph_flags import add_graph_flags

CHECKPOINT_HELP = "a step_<N> folder or an openpi checkpoint with tokenizers"


class DeployParser(FlagParser):
    """The parser of the command `deploy`, whose flags `policy.launch.py` gives too.

    Args:
        prog: the name of the command.
        raises: whether an error is raised as SettingError, for a program that is no command.
    """

    def __init__(self, *, prog: str, raises: bool = False) -> None:
        super().__init__(
            prog=prog,
            description=(
                "Lets a checkpoint act without a trainer, over the graph of nodes, in simulation or on a robot, and "
                "counts its successes.\n\n"
                "Model, task, time limit, temperature and prompt are those of the run that wrote the checkpoint, "
                "unless a flag says otherwise. --params_file describes the robot, such as config/robot.yaml; without "
                "it the run is simulated."
            ),
            examples=(
                (f"{prog} checkpoints/mine/step_26 --episodes 20", "acts for 20 episodes in the simulator"),
                (
                    f"{prog} checkpoints/mine/step_26 --params_file config/robot.yaml",
                    "acts on the robot until Ctrl-C",
                ),
            ),
            first=("--episodes", "--params_file", "--exp_name", "--decoding", "--record", "--resume"),
        )
        self._raises = raises
        self.add_argument("checkpoint", type=Path, help=CHECKPOINT_HELP)
        self.add_argument(
            "--episodes", type=whole_number_from(1), help="episodes that count, after which the run ends (no end)"
        )
        add_config_flags(self, preset="debug", from_checkpoint=True)
        self.set_defaults(checkpoint_b=None, run_kind="deploy")
        add_graph_flags(self)

    def refuse(self, message: str) -> NoReturn:
        """Raises a SettingError or exits with status 2."""
        if self._raises:
            raise SettingError(message)
        super().refuse(message)


def deploy_parser() -> DeployParser:
    """Returns the parser of `deploy`."""
    return DeployParser(prog=command_line("deploy"))


def evaluate_parser() -> FlagParser:
    """Returns the parser of `evaluate`."""
    parser = FlagParser(
        prog=command_line("evaluate"),
        description=(
            "Measures a checkpoint on unseen starts of the simulated task, which are the same ones for every "
            "checkpoint. Results have 95 % intervals.\n\n"
            "Task, simulator, time limit, temperature and prompts are those of the run that wrote the checkpoint, "
            "unless a flag says otherwise. Several prompts take turns, each as often as the others, and are also "
            "reported apart. Where the checkpoint does not record the settings, --config must name the preset."
        ),
        examples=(
            (command_line("evaluate checkpoints/mine/step_26 --greedy"), "takes the likeliest token each time"),
            (command_line("evaluate checkpoints/mine/step_26"), "samples tokens, as training does"),
            (
                command_line("evaluate checkpoints/reach-imitation checkpoints/mine/step_26 --graph"),
                "compares two checkpoints by turns, over the graph of nodes",
            ),
        ),
        first=("--episodes", "--greedy", "--json", "--graph", "--config", "--temperature"),
    )
    parser.add_argument("checkpoint", type=Path, help=CHECKPOINT_HELP)
    parser.add_argument("--episodes", type=int, default=64, help="unseen starts, or episodes that count (64)")
    parser.add_argument("--greedy", action="store_true", help="take the likeliest token instead of sampling")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument(
        "--video", type=Path, help="also write an MP4 file of the first solved episode, or of the first one without any"
    )
    add_config_flags(parser, preset="debug", from_checkpoint=True)
    parser.add_argument("checkpoint_b", type=Path, nargs="?", help="another one to compare with, with --graph")
    parser.add_argument("--graph", action="store_true", help="let the nodes act, in simulation or on a robot")
    parser.set_defaults(run_kind="evaluate")
    add_graph_flags(parser)
    return parser
