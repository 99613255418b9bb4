"""Lets a checkpoint act without a trainer, by `ros2 launch chunk_ppo_ros policy.launch.py checkpoint:=CHECKPOINT`.

The arguments are flags of `python -m chunk_ppo_ros deploy`, which does the same without `launch`. docs/deploy.md
explains them.
"""

from __future__ import annotations

from launch import LaunchDescription

from chunk_ppo_ros.config import EnvConfig, TrainConfig, choices
from chunk_ppo_ros.config.deploy import DECODINGS
from chunk_ppo_ros.evaluation.deployment.setup import config_from_arguments
from chunk_ppo_ros.nodes.launching.graph_actions import Argument, Given, describe_launch

FLAGS = {
    "config": "--params_file",
    "sim": "--simulator",
    "task": "--task",
    "exp_name": "--exp_name",
    "decoding": "--decoding",
    "temperature": "--temperature",
    "episodes": "--episodes",
}
"""The flag of `deploy` that takes the value of an argument, where one is given."""

ARGUMENTS = (
    Argument("checkpoint", "", "the checkpoint: a step_<N> folder, or an openpi checkpoint with tokenizers"),
    Argument("config", "", "parameter file that describes the robot; empty is a simulation as in training"),
    Argument("sim", "", "simulator, none for a real robot", ("", *choices(EnvConfig, "simulator"))),
    Argument("task", "", "task; empty is that of the checkpoint"),
    Argument("exp_name", "", "name of the run, outputs go to run_dir/exp_name; empty is deploy- and the time"),
    Argument("resume", "false", "go on with the run exp_name", ("true", "false")),
    Argument("decoding", "", "how the policy chooses its tokens; empty is greedy", ("", *DECODINGS)),
    Argument("temperature", "", "temperature of sampled tokens; empty is that of the checkpoint"),
    Argument("episodes", "", "episodes that count, after which the run ends; empty goes on until it is stopped"),
)


def generate_launch_description() -> LaunchDescription:
    """Returns the launch description."""
    return describe_launch(ARGUMENTS, configure)


def configure(given: Given) -> TrainConfig:
    """Returns the configuration that `deploy` makes of the same values.

    Raises:
        SettingError, CheckpointError: when a value is wrong, or the checkpoint cannot be used.
    """
    values = [text for name, flag in FLAGS.items() if given(name) for text in (flag, given(name))]
    resume = ["--resume"] if given("resume") == "true" else []
    return config_from_arguments([given("checkpoint"), *values, *resume])
