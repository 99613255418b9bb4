"""Starts all nodes by `ros2 launch chunk_ppo_ros training.launch.py`, with the simulator unless `sim:=none` is given.

`chunk_ppo_ros/runtime/graph.py` describes the graph. This file declares its arguments and actions for `launch`.
"""

from __future__ import annotations

import dataclasses
import pathlib
import time

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from chunk_ppo_ros.config import MODELS, EnvConfig, TrainConfig, choices
from chunk_ppo_ros.config.parameter_file import load_config_file
from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR
from chunk_ppo_ros.runtime import graph as graph_lib
from chunk_ppo_ros.runtime.ros_domain import hold_domain
from chunk_ppo_ros.runtime.supervisor import MAX_RESPAWNS, RESPAWN_DELAY, RESPAWNED_WELL

FROM_FILE = "the parameter file's"

STOP_STEP = "1.5"
"""The seconds from SIGINT to SIGTERM, and from there to SIGKILL. Even a node that compiles ends within five seconds."""


def generate_launch_description() -> LaunchDescription:
    """Returns the launch description. The values of the arguments are checked when the graph is started."""
    share = pathlib.Path(get_package_share_directory("chunk_ppo_ros"))
    arguments = [
        ("config", str(share / "config" / "training.yaml"), "parameter file of all nodes, see config/", None),
        ("sim", "", f"simulator, none for a real robot; empty is {FROM_FILE}", ["", *choices(EnvConfig, "simulator")]),
        ("task", "", f"task, of this package or of another one; empty is {FROM_FILE}", None),
        ("model", "", f"size of the model; empty is {FROM_FILE}", ["", *MODELS]),
        ("exp_name", "", f"name of the run, outputs go to run_dir/exp_name; empty is {FROM_FILE}", None),
        ("checkpoint", "", f"checkpoint to start from; empty is {FROM_FILE}", None),
        ("record", "false", "record the rollout topics as a rosbag2 folder run_dir/exp_name/bag", ["true", "false"]),
        ("discovery", "localhost", "which machines may see the graph", [*graph_lib.DISCOVERY]),
        ("static_peers", "", "addresses separated by ';', for discovery:=static_peers", None),
        ("domain_id", "", "ROS domain; empty is a free one in simulation, or ROS_DOMAIN_ID for a real robot", None),
        ("on_node_exit", "stop", "what happens when a node ends by itself", [*graph_lib.ON_NODE_EXIT]),
    ]
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text, choices=choices)
        for name, default, text, choices in arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start_graph)])


def start_graph(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Returns the actions that start the graph. `launch` calls it when the arguments are known."""

    def given(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    config = configure(
        load_config_file(given("config")),
        env={"simulator": given("sim"), "task": given("task")},
        run={"exp_name": given("exp_name"), "pretrained_checkpoint_path": given("checkpoint")},
        model=given("model"),
    )
    graph = graph_lib.describe(config, record=given("record") == "true")
    domain = graph_lib.wanted_domain(given("domain_id") or None, config)
    network = graph_lib.network_environment(
        discovery=given("discovery"),
        static_peers=given("static_peers"),
        domain_id=hold_domain(domain),
    )
    return [
        *(SetEnvironmentVariable(name, value) for name, value in network.items()),
        LogInfo(msg=f"ROS_DOMAIN_ID={network['ROS_DOMAIN_ID']}, parameters in {graph.parameter_file}"),
        *(node_action(node, graph, on_node_exit=given("on_node_exit")) for node in graph.nodes),
    ]


def configure(config: TrainConfig, *, env: dict[str, str], run: dict[str, str], model: str) -> TrainConfig:
    """Returns the configuration with the values of all arguments that are not empty."""
    return dataclasses.replace(
        config,
        env=dataclasses.replace(config.env, **{name: value for name, value in env.items() if value}),
        run=dataclasses.replace(config.run, **{name: value for name, value in run.items() if value}),
        model=MODELS[model] if model else config.model,
    )


def node_action(node: graph_lib.NodeDescription, graph: graph_lib.Graph, *, on_node_exit: str) -> Node:
    """Returns the action that starts one node of the graph.

    With `respawn`, a node is started anew as often as the supervisor does it. The argument `respawn_max_retries` of
    `launch` is not used, because the other nodes would run on without the node when it is reached.
    """
    ends: list[float] = []  # when the node ended, s of steady time; each soon after the one before

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        how, now = f"{node.name} ended with exit code {event.returncode}", time.monotonic()
        if node.name == graph.ends_with and event.returncode == 0:
            return [Shutdown(reason=f"{node.name} is done; the run has ended")]
        if on_node_exit == "stop" or event.returncode == CONFIGURATION_ERROR:
            return [Shutdown(reason=how)]
        if on_node_exit == "respawn" and node.name == graph.ends_with:
            again = "start the graph again with run.resume: true, or use python -m chunk_ppo_ros graph, which does so"
            return [Shutdown(reason=f"{how}; {again}")]
        if ends and now - ends[-1] >= RESPAWNED_WELL:
            ends.clear()
        ends.append(now)
        if on_node_exit == "respawn" and len(ends) > MAX_RESPAWNS:
            useless = f"it was started anew {MAX_RESPAWNS} times in a row, and that does not help"
            return [Shutdown(reason=f"{how}; {useless}")]
        return [LogInfo(msg=how)]

    return Node(
        package="chunk_ppo_ros",
        executable=node.name,
        name=node.name,
        parameters=[str(graph.parameter_file), {"use_sim_time": node.use_sim_time}],
        additional_env=dict(node.environment),
        prefix=" ".join(node.prefix),
        output="screen",
        respawn=on_node_exit == "respawn" and node.name != graph.ends_with,
        respawn_delay=RESPAWN_DELAY,
        sigterm_timeout=STOP_STEP,
        sigkill_timeout=STOP_STEP,
        on_exit=on_exit,
    )
