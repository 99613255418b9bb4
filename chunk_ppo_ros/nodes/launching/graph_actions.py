"""Makes the actions for `launch` that start a graph. `launch/` has a file for each kind of run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.nodes.launching.arguments import (
    GRAPH_ARGUMENTS,
    SETTINGS,
    Argument,
    Given,
    check_names,
    is_started_directly,
)
from chunk_ppo_ros.nodes.launching.node_actions import NodeActions
from chunk_ppo_ros.runtime import graph as graph_lib
from chunk_ppo_ros.runtime.claims.run_folder import hold_run
from chunk_ppo_ros.runtime.graph_flags import with_graph_flags
from chunk_ppo_ros.runtime.ros_domain import hold_domain

Configure = Callable[[Given], tuple[TrainConfig, RunStart]]
"""A function that returns the configuration of a run, and what was given for it beside the arguments of the graph."""


def describe_launch(file: str, arguments: Sequence[Argument], configure: Configure) -> LaunchDescription:
    """Returns the description of a launch file. The arguments are checked when the graph is started.

    Args:
        file: the name of the launch file.
        arguments: the arguments of the launch file beside `SETTINGS` and `GRAPH_ARGUMENTS`.
        configure: makes the configuration of the run.
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


def start_graph(given: Given, configure: Configure) -> list[LaunchDescriptionEntity]:
    """Returns the actions that start the graph.

    Raises:
        SettingError, CheckpointError: when an argument is wrong.
    """
    config, start = configure(given)
    hold_run(config.run.folder)
    graph = graph_lib.describe(
        config, record=given.is_true("record"), namespace=given("namespace"), log_level=given("log_level")
    )
    domain = graph_lib.wanted_domain(given("domain_id") or None, config)
    network = graph_lib.network_environment(
        discovery=given("discovery"),
        static_peers=given("static_peers"),
        domain_id=hold_domain(domain, run=config.run.exp_name, makes_time=config.env.is_lockstep),
    )
    texts = {one.name: text for one in GRAPH_ARGUMENTS if (text := given(one.name))}
    start = with_graph_flags(start, {**texts, "record": given.is_true("record")})
    actions = NodeActions(graph, on_node_exit=given("on_node_exit"))
    return [
        *(SetEnvironmentVariable(name, value) for name, value in {**network, **start.environment}.items()),
        LogInfo(msg=f"ROS_DOMAIN_ID={network['ROS_DOMAIN_ID']}, parameters in {graph.parameter_file}"),
        *(actions.start(node) for node in graph.nodes),
    ]
