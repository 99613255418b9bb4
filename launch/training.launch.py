"""Starts all nodes by `ros2 launch chunk_ppo_ros training.launch.py`, with a simulator unless it is `simulator:=none`.

`chunk_ppo_ros/runtime/graph.py` describes the graph. This file declares its arguments for `launch`. Every setting is an
argument too, such as `learning_rate:=2e-5`. docs/ros-tools.md says what `ros2 launch` does otherwise than the command
`chunk_ppo graph`.
"""

from __future__ import annotations

import dataclasses
import pathlib
import runpy

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription

runpy.run_path(str(pathlib.Path(__file__).with_name("node_packages.py")))

from chunk_ppo_ros.agent.run_start.graph_settings import with_checkpoint
from chunk_ppo_ros.config import MODELS, EnvConfig, TrainConfig, choices, flags
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.config.parameter_file import load_config_file, values_of_file
from chunk_ppo_ros.nodes.launching.arguments import Argument, Given, SettingsParser
from chunk_ppo_ros.nodes.launching.graph_actions import describe_launch

FROM_FILE = "the parameter file's"
ALIASES = {"sim": "simulator", "checkpoint": "pretrained_checkpoint_path", "params_file": "config"}
"""The argument that has another name too, by that name."""


def generate_launch_description() -> LaunchDescription:
    """Returns the launch description."""
    sims = ("", *choices(EnvConfig, "simulator"))
    arguments = [
        Argument("config", "", "parameter file of all nodes, see config/; empty is config/training.yaml"),
        Argument("params_file", "", "another name of config"),
        Argument("simulator", "", f"simulator, none for a real robot; empty is {FROM_FILE}", sims),
        Argument("sim", "", "another name of simulator"),
        Argument("task", "", f"task, of this package or of another one; empty is {FROM_FILE}"),
        Argument("model", "", f"size of the model; empty is {FROM_FILE}", ("", *MODELS)),
        Argument("exp_name", "", f"name of the run, outputs go to run_dir/exp_name; empty is {FROM_FILE}"),
        Argument("pretrained_checkpoint_path", "", f"checkpoint to start from; empty is {FROM_FILE}"),
        Argument("checkpoint", "", "another name of pretrained_checkpoint_path"),
    ]
    return describe_launch(pathlib.Path(__file__).name, arguments, configure)


def configure(given: Given) -> tuple[TrainConfig, RunStart]:
    """Returns the configuration of the parameter file with the values of all arguments that are not empty.

    What neither gives is that of the checkpoint, and else a default. The second value says what was given.

    Raises:
        CheckpointError, SettingError, ValueError: when a value is wrong, or the checkpoint cannot be used.
    """
    present = given.under_present_names(ALIASES)
    share = pathlib.Path(get_package_share_directory("chunk_ppo_ros"))
    file, arguments = present("config") or str(share / "config" / "training.yaml"), present.flags()
    parser = SettingsParser("training.launch.py")
    parsed = parser.parse_args([*arguments, *(["--model", given("model")] if given("model") else [])])
    config = flags.config_from_flags(parsed, base=load_config_file(file))
    start = flags.given_at_start(parsed)
    start = dataclasses.replace(start, flags={"params_file": file, **start.flags}, file=values_of_file(file))
    return with_checkpoint(config, given=(*start.file, *start.given), file=file), start
