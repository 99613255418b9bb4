"""The parsers of the commands that train: demo, train and pretrain."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from chunk_ppo_ros.config.flags import FlagParser, add_config_flags, command_line
from chunk_ppo_ros.config.flags.help_page import Defaults
from chunk_ppo_ros.config.presets import PRESETS

FIRST_OF_TRAINING = ("--config", "--exp_name", "--pretrained_checkpoint_path", "--total_timesteps", "--no_wandb")


DEMO_TIMESTEPS = 32_000
"""The control steps that `demo` trains on. The policy solves nearly every start by then."""


def demo_defaults() -> Defaults:
    """Returns the preset demo with as many control steps as it takes to see what PPO learns."""
    preset = PRESETS["demo"]
    ppo = dataclasses.replace(preset.ppo, total_timesteps=DEMO_TIMESTEPS)
    source = f"preset demo (--config), which trains on {preset.ppo.total_timesteps} control steps elsewhere"
    return Defaults(dataclasses.replace(preset, ppo=ppo), source)


def demo_parser() -> FlagParser:
    """Returns the parser of `demo`."""
    parser = FlagParser(
        prog=command_line("demo"),
        description=(
            "Shows the whole loop in minutes: imitation of scripted demonstrations, chunk PPO over ROS 2 topics on a "
            "simulated ALOHA, and an evaluation before and after PPO.\n\n"
            "Both evaluations use the same unseen starts, and take the likeliest token each time. Training samples "
            "tokens instead, because PPO learns from the differences between chunks."
        ),
        examples=(
            (command_line("demo"), "7 to 15 minutes on two cores; ends with the place of its page"),
            (command_line("demo", "--record"), "records the topics too, as a bag in the folder of the run"),
        ),
        first=("--exp_name", "--episodes", "--record", "--simulator", "--total_timesteps", "--no_wandb"),
    )
    parser.add_argument("--episodes", type=int, default=200, help="unseen starts of both evaluations (200)")
    parser.add_argument("--record", action="store_true", help="record the rollout topics as a bag in the run's folder")
    add_config_flags(parser, preset="demo", defaults=demo_defaults())
    return parser


def train_parser() -> FlagParser:
    """Returns the parser of `train`."""
    parser = FlagParser(
        prog=command_line("train"),
        description=(
            "Trains with PPO in one process without ROS, on a simulated ALOHA. It uses the same policy, learner, "
            "checkpoints, metrics and settings as the graph of nodes.\n\n"
            "The model, the task, the time limit, the temperature and the prompts are those of the checkpoint that it "
            "starts from, unless a flag says otherwise."
        ),
        examples=(
            (command_line("train"), "a smoke test of a minute from random weights, which learns next to nothing"),
            (
                command_line(
                    "train --config demo --exp_name mine --pretrained_checkpoint_path checkpoints/mine-imitation"
                ),
                f"learns reach from an imitation that `{command_line('pretrain --config demo --exp_name mine')}` made",
            ),
            (
                command_line("train --config demo --exp_name mine --resume"),
                "goes on with the run that was stopped",
            ),
        ),
        first=(*FIRST_OF_TRAINING, "--resume"),
    )
    add_config_flags(parser, preset="debug", from_checkpoint=True)
    return parser


def pretrain_parser() -> FlagParser:
    """Returns the parser of `pretrain`."""
    parser = FlagParser(
        prog=command_line("pretrain"),
        description=(
            "Clones the behavior of scripted demonstrations or of recorded episodes, and writes the checkpoint "
            "checkpoints/NAME-imitation, from which PPO can start."
        ),
        examples=(
            (
                command_line("pretrain --config demo --exp_name mine"),
                "imitates the simulator's scripted demonstrations, in 3 to 6 minutes on two cores",
            ),
            (
                command_line("pretrain --exp_name cup --episodes recordings/cup --prompt 'lift the cup'"),
                f"imitates your own recordings; look at them by `{command_line('inspect')}` before",
            ),
        ),
        first=("--config", "--exp_name", "--episodes", "--num_demonstrations", "--bc_steps", "--prompt"),
    )
    parser.add_argument(
        "--episodes",
        nargs="+",
        type=Path,
        help="recorded episodes to imitate, see docs/data.md; without it the simulator's demonstrations",
    )
    add_config_flags(parser, preset="debug", from_checkpoint=True)
    return parser
