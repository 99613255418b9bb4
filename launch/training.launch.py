"""Starts all nodes by `ros2 launch chunk_ppo_ros training.launch.py`, with the simulator unless `sim:=none` is given.

`chunk_ppo_ros/runtime/graph.py` describes the graph. This file declares its arguments for `launch`.
"""

from __future__ import annotations

import dataclasses
import pathlib

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription

from chunk_ppo_ros.agent.run_start.graph_settings import with_checkpoint
from chunk_ppo_ros.config import MODELS, EnvConfig, TrainConfig, choices
from chunk_ppo_ros.config.parameter_file import load_config_file, settings_of_file
from chunk_ppo_ros.nodes.launching.graph_actions import Argument, Given, describe_launch

FROM_FILE = "the parameter file's"


def generate_launch_description() -> LaunchDescription:
    """Returns the launch description."""
    share = pathlib.Path(get_package_share_directory("chunk_ppo_ros"))
    sims = ("", *choices(EnvConfig, "simulator"))
    arguments = [
        Argument("config", str(share / "config" / "training.yaml"), "parameter file of all nodes, see config/"),
        Argument("sim", "", f"simulator, none for a real robot; empty is {FROM_FILE}", sims),
        Argument("task", "", f"task, of this package or of another one; empty is {FROM_FILE}"),
        Argument("model", "", f"size of the model; empty is {FROM_FILE}", ("", *MODELS)),
        Argument("exp_name", "", f"name of the run, outputs go to run_dir/exp_name; empty is {FROM_FILE}"),
        Argument("checkpoint", "", f"checkpoint to start from; empty is {FROM_FILE}"),
    ]
    return describe_launch(arguments, configure)


def configure(given: Given) -> TrainConfig:
    """Returns the configuration of the parameter file with the values of all arguments that are not empty.

    What neither gives is that of the checkpoint, and else a default.
    """
    config = load_config_file(given("config"))
    env = {"simulator": given("sim"), "task": given("task")}
    run = {"exp_name": given("exp_name"), "pretrained_checkpoint_path": given("checkpoint")}
    config = dataclasses.replace(
        config,
        env=dataclasses.replace(config.env, **{name: value for name, value in env.items() if value}),
        run=dataclasses.replace(config.run, **{name: value for name, value in run.items() if value}),
        model=MODELS[given("model")] if given("model") else config.model,
    )
    arguments = [f"env.{name}" for name, value in env.items() if value] + (["model"] if given("model") else [])
    return with_checkpoint(config, given=(*settings_of_file(given("config")), *arguments), file=given("config"))
