"""Makes the actions for `launch` that start a graph. `launch/` has a file for each kind of run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.events.process import ProcessExited
from launch_ros.actions import Node

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, FRESH_UNASKED
from chunk_ppo_ros.nodes.launching.arguments import (
    GRAPH_ARGUMENTS,
    SETTINGS,
    Argument,
    Given,
    check_names,
    is_started_directly,
)
from chunk_ppo_ros.runtime import graph as graph_lib
from chunk_ppo_ros.runtime.respawns import MAX_RESPAWNS, RESPAWN_DELAY, RESPAWNED_WELL
from chunk_ppo_ros.runtime.ros_domain import hold_domain

STOP_STEP = "1.5"
"""The seconds from SIGINT to SIGTERM, and from there to SIGKILL. Even a node that compiles ends within five seconds."""


class RunFailed(Exception):
    """The run has ended otherwise than it should. `launch` logs the text, stops the other nodes, and exits with 1."""


def describe_launch(
    file: str, arguments: Sequence[Argument], configure: Callable[[Given], TrainConfig]
) -> LaunchDescription:
    """Returns the description of a launch file. The arguments are checked when the graph is started.

    Args:
        file: the name of the launch file.
        arguments: the arguments of the launch file beside `SETTINGS` and `GRAPH_ARGUMENTS`.
        configure: returns the configuration of the run.
    """
    everything = (*arguments, *SETTINGS, *GRAPH_ARGUMENTS)
    declared = [
        DeclareLaunchArgument(
            one.name, default_value=one.default, description=one.text, choices=list(one.choices) or None
        )
        for one in everything
    ]

    def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
        values = dict(context.launch_configurations)
        if is_started_directly(file, sys.argv):
            check_names(values, [one.name for one in everything])
        return start_graph(Given(values), configure)

    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start_graph(given: Given, configure: Callable[[Given], TrainConfig]) -> list[LaunchDescriptionEntity]:
    """Returns the actions that start the graph.

    Raises:
        SettingError, CheckpointError: when an argument is wrong.
    """
    config = configure(given)
    graph = graph_lib.describe(
        config, record=given("record") == "true", namespace=given("namespace"), log_level=given("log_level")
    )
    domain = graph_lib.wanted_domain(given("domain_id") or None, config)
    network = graph_lib.network_environment(
        discovery=given("discovery"),
        static_peers=given("static_peers"),
        domain_id=hold_domain(domain, run=config.run.exp_name),
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

    Where the run fails, `on_exit` raises `RunFailed`, because `launch` has no other way to an exit code that is not 0.
    """
    respawns = not node.is_needed or (on_node_exit == "respawn" and not node.respawn_arguments)
    ends: list[float] = []  # when the node ended, s of steady time; each soon after the one before

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        code = event.returncode
        how = f"{node.name} was killed by signal {-code}" if code < 0 else f"{node.name} ended with exit code {code}"
        if context.is_shutdown:  # It was asked to end.
            return []
        if node.name == graph.ends_with and code == FRESH_UNASKED:
            raise RunFailed(f"{node.name} is done, but it trained from fresh weights that nobody asked for")
        if node.name == graph.ends_with and code == 0:
            return [Shutdown(reason=f"{node.name} is done; the run has ended")]
        if not node.is_needed and code != CONFIGURATION_ERROR:
            return [LogInfo(msg=f"{how}; it is started anew, and the run goes on")]
        if on_node_exit == "stop" or code == CONFIGURATION_ERROR:
            raise RunFailed(how)
        if on_node_exit == "respawn" and not respawns:
            again = "start the graph again with resume:=true, or use chunk_ppo graph, which does so"
            raise RunFailed(f"{how}; {again}")
        now = time.monotonic()
        if ends and now - ends[-1] >= RESPAWNED_WELL:
            ends.clear()
        ends.append(now)
        if on_node_exit == "respawn" and len(ends) > MAX_RESPAWNS:
            useless = f"it was started anew {MAX_RESPAWNS} times in a row, and that does not help"
            raise RunFailed(f"{how}; {useless}")
        return [LogInfo(msg=how)]

    return Node(
        package="chunk_ppo_ros",
        executable=node.name,
        name=node.name,
        namespace=graph.namespace or None,
        ros_arguments=list(graph.log_arguments),
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
