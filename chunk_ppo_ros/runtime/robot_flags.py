"""The settings of commands that look at a real robot: flags, a parameter file, or the defaults of such a robot."""

from __future__ import annotations

import argparse
import dataclasses

from chunk_ppo_ros.config import PRESETS, TrainConfig, flags
from chunk_ppo_ros.config.env import REAL_ROBOT
from chunk_ppo_ros.config.parameter_file import load_config_file

DEFAULT_PRESET = "full"
BACKEND = "interbotix"
"""The back end of a stock ALOHA."""


def robot_parser(name: str, description: str | None) -> flags.FlagParser:
    """Returns a parser with a flag for each setting, and with `--params_file` and `--namespace`.

    Args:
        name: the name of the command.
        description: what the command does.
    """
    parser = flags.FlagParser(prog=f"chunk_ppo_ros {name}", description=description)
    flags.add_config_flags(parser, preset=DEFAULT_PRESET)
    group = parser.add_argument_group(name)
    group.add_argument("--params_file", help="parameter file of the robot, such as config/robot.yaml")
    group.add_argument("--namespace", default="", help="the namespace of the graph")
    return parser


def robot_config(parser: argparse.ArgumentParser, given: argparse.Namespace) -> TrainConfig:
    """Returns the settings, or exits with the reason why they cannot be used.

    Without a parameter file and a preset they are those of a real robot at Interbotix's driver.
    """
    base = PRESETS[given.config]
    if not given.config_is_given:
        env = dataclasses.replace(base.env, simulator=REAL_ROBOT, realtime=True)
        base = dataclasses.replace(base, env=env, robot=dataclasses.replace(base.robot, backend=BACKEND))
    try:
        base = load_config_file(given.params_file, base=base) if given.params_file else base
        return flags.config_from_flags(given, base=base)
    except ValueError as error:
        parser.error(str(error))
