"""Lets a checkpoint act without a trainer, by `ros2 launch chunk_ppo_ros policy.launch.py checkpoint:=CHECKPOINT`.

The arguments are flags of `chunk_ppo deploy`, which does the same without `launch`. Every setting is an argument too,
such as `max_velocity:=1.0`. docs/deploy.md explains them, and docs/ros-tools.md what `ros2 launch` does otherwise.
"""

from __future__ import annotations

import pathlib
import runpy

from launch import LaunchDescription

runpy.run_path(str(pathlib.Path(__file__).with_name("node_packages.py")))

from chunk_ppo_ros.config import EnvConfig, TrainConfig, choices
from chunk_ppo_ros.config.deploy import DECODINGS
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.evaluation.deployment.setup import config_from_arguments
from chunk_ppo_ros.nodes.launching.arguments import Argument, Given
from chunk_ppo_ros.nodes.launching.graph_actions import describe_launch

ARGUMENTS = (
    Argument("checkpoint", "", "the checkpoint: a step_<N> folder, or an openpi checkpoint with tokenizers"),
    Argument("config", "", "parameter file that describes the robot; empty is a simulation as in training"),
    Argument("params_file", "", "another name of config"),
    Argument("simulator", "", "simulator, none for a real robot", ("", *choices(EnvConfig, "simulator"))),
    Argument("sim", "", "another name of simulator"),
    Argument("task", "", "task; empty is that of the checkpoint"),
    Argument("exp_name", "", "name of the run, outputs go to run_dir/exp_name; empty is deploy- and the time"),
    Argument("decoding", "", "how the policy chooses its tokens; empty is greedy", ("", *DECODINGS)),
    Argument("temperature", "", "temperature of sampled tokens; empty is that of the checkpoint"),
    Argument("episodes", "", "episodes that count, after which the run ends; empty goes on until it is stopped"),
)
ALIASES = {"sim": "simulator", "params_file": "config"}
"""The argument that has another name too, by that name."""


def generate_launch_description() -> LaunchDescription:
    """Returns the launch description."""
    return describe_launch(pathlib.Path(__file__).name, ARGUMENTS, configure)


def configure(given: Given) -> tuple[TrainConfig, RunStart]:
    """Returns the configuration that `deploy` makes of the same values. No page prints what was given for it.

    Raises:
        SettingError, CheckpointError: when a value is wrong, or the checkpoint cannot be used.
    """
    present = given.under_present_names(ALIASES)
    others = {"--params_file": present("config"), "--episodes": given("episodes")}
    values = [text for flag, value in others.items() if value for text in (flag, value)]
    return config_from_arguments([given("checkpoint"), *values, *present.flags()]), RunStart()
