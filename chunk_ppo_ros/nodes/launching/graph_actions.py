"""Makes the actions for `launch` that start a graph. `launch/` has a file for each kind of run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, FRESH_UNASKED
from chunk_ppo_ros.runtime import graph as graph_lib
from chunk_ppo_ros.runtime.respawns import MAX_RESPAWNS, RESPAWN_DELAY, RESPAWNED_WELL
from chunk_ppo_ros.runtime.ros_domain import hold_domain

STOP_STEP = "1.5"
"""The seconds from SIGINT to SIGTERM, and from there to SIGKILL. Even a node that compiles ends within five seconds."""


@dataclasses.dataclass(frozen=True)
class Argument:
    """An argument of a launch file.

    Attributes:
        name: its name.
        default: its value where none is given.
        text: what it means.
        choices: the values that it takes; empty where it takes any.
    """

    name: str
    default: str
    text: str
    choices: tuple[str, ...] = ()


BOOLS = ("true", "false")
GRAPH_ARGUMENTS = (
    Argument(
        "record", "false", "record the rollout topics as a rosbag2 folder run_dir/exp_name/bag", ("true", "false")
    ),
    Argument("discovery", "localhost", "which machines may see the graph", tuple(graph_lib.DISCOVERY)),
    Argument("static_peers", "", "addresses separated by ';', for discovery:=static_peers"),
    Argument("domain_id", "", "ROS domain; empty is a free one in simulation, or ROS_DOMAIN_ID for a real robot"),
    Argument("on_node_exit", "stop", "what happens when a node ends by itself", graph_lib.ON_NODE_EXIT),
)
"""The arguments that all launch files have."""

Given = Callable[[str], str]
"""Returns the value of an argument by its name."""


def describe_launch(arguments: Sequence[Argument], configure: Callable[[Given], TrainConfig]) -> LaunchDescription:
    """Returns the description of a launch file. The values of the arguments are checked when the graph is started.

    Args:
        arguments: the arguments of the launch file beside `GRAPH_ARGUMENTS`.
        configure: returns the configuration of the run.
    """
    declared = [
        DeclareLaunchArgument(
            one.name, default_value=one.default, description=one.text, choices=list(one.choices) or None
        )
        for one in (*arguments, *GRAPH_ARGUMENTS)
    ]

    def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        return start_graph(context, configure)

    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start_graph(context: LaunchContext, configure: Callable[[Given], TrainConfig]) -> list[LaunchDescriptionEntity]:
    """Returns the actions that start the graph. `launch` calls it when the arguments are known.

    Raises:
        SettingError, CheckpointError: when an argument is wrong.
    """

    def given(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    config = configure(given)
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


def node_action(node: graph_lib.NodeDescription, graph: graph_lib.Graph, *, on_node_exit: str) -> Node:
    """Returns the action that starts one node of the graph.

    With `respawn`, a node is started anew as often as the supervisor does it. The argument `respawn_max_retries` of
    `launch` is not used, because the other nodes would run on without the node when it is reached. A node that needs
    other arguments when it is started anew, as trainer_node does, ends the graph, because `launch` gives it the same.
    """
    respawns = on_node_exit == "respawn" and not node.respawn_arguments
    ends: list[float] = []  # when the node ended, s of steady time; each soon after the one before

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        how, now = f"{node.name} ended with exit code {event.returncode}", time.monotonic()
        if node.name == graph.ends_with and event.returncode == FRESH_UNASKED:
            return [Shutdown(reason=f"{node.name} is done, but it trained from fresh weights that nobody asked for")]
        if node.name == graph.ends_with and event.returncode == 0:
            return [Shutdown(reason=f"{node.name} is done; the run has ended")]
        if on_node_exit == "stop" or event.returncode == CONFIGURATION_ERROR:
            return [Shutdown(reason=how)]
        if on_node_exit == "respawn" and not respawns:
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
        respawn=respawns,
        respawn_delay=RESPAWN_DELAY,
        sigterm_timeout=STOP_STEP,
        sigkill_timeout=STOP_STEP,
        on_exit=on_exit,
    )
