"""The settings of commands that look at a real robot: flags, a parameter file, or the defaults of such a robot."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

from chunk_ppo_ros.config import PRESETS, TrainConfig, flags
from chunk_ppo_ros.config.env import REAL_ROBOT
from chunk_ppo_ros.config.flags.help_page import Defaults
from chunk_ppo_ros.config.parameter_file import load_config_file

DEFAULT_PRESET = "full"
BACKEND = "interbotix"
"""The back end of a stock ALOHA."""
STOCK = "a stock ALOHA at Interbotix's driver"
"""What the settings are those of where neither a file nor a preset is named."""


def robot_parser(
    name: str, description: str, *, examples: Sequence[tuple[str, str]], first: Sequence[str]
) -> flags.FlagParser:
    """Returns a parser with a flag for each setting, and with `--params_file` and `--namespace`.

    Args:
        name: the name of the command.
        description: what the command does.
        examples: further words of command lines to begin with, each with what it does.
        first: the flags that the short help shows.
    """
    lines = [(flags.command_line(name, words).strip(), text) for words, text in examples]
    parser = flags.FlagParser(
        prog=flags.command_line(name), description=description, examples=lines, first=("--params_file", *first)
    )
    flags.add_config_flags(parser, preset=DEFAULT_PRESET, defaults=Defaults(_stock_robot(), STOCK))
    group = parser.add_argument_group("target", "which robot and which graph")
    group.add_argument("--params_file", help="parameter file of the robot, such as config/robot.yaml")
    group.add_argument("--namespace", default="", help="the namespace of the graph")
    return parser


def robot_config(parser: argparse.ArgumentParser, given: argparse.Namespace) -> TrainConfig:
    """Returns the settings, or exits with the reason why they cannot be used.

    Without a parameter file and a preset they are those of a real robot at Interbotix's driver.
    """
    base = PRESETS[given.config] if given.config_is_given else _stock_robot()
    try:
        base = load_config_file(given.params_file, base=base) if given.params_file else base
        return flags.config_from_flags(given, base=base)
    except ValueError as error:
        parser.error(str(error))


def _stock_robot() -> TrainConfig:
    """Returns the settings of a real robot at Interbotix's driver."""
    base = PRESETS[DEFAULT_PRESET]
    env = dataclasses.replace(base.env, simulator=REAL_ROBOT, realtime=True)
    return dataclasses.replace(base, env=env, robot=dataclasses.replace(base.robot, backend=BACKEND))
