"""The flags of the commands that start a graph, and which of them a user gave."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

from chunk_ppo_ros.config.flags import given_at_start
from chunk_ppo_ros.config.flags.run_start import RunStart
from chunk_ppo_ros.config.parameter_file import values_of_file
from chunk_ppo_ros.runtime.restarts.node_ends import ON_NODE_EXIT

DISCOVERY = {"localhost": "LOCALHOST", "static_peers": "LOCALHOST", "subnet": "SUBNET"}
"""The value of ROS_AUTOMATIC_DISCOVERY_RANGE for each discovery, which limits how far nodes look for each other.

ROS_STATIC_PEERS adds static peers.
"""

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
"""The severities of ROS logs."""


def add_graph_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the commands that start a graph."""
    group = parser.add_argument_group("graph", "how the nodes are started, and who sees them")
    group.add_argument("--params_file", help="parameter file that replaces the preset's values, such as config/*.yaml")
    group.add_argument("--record", action="store_true", help="record the rollout topics to run_dir/exp_name/bag")
    group.add_argument("--namespace", default="", help="namespace of all nodes, such as /cell_1")
    group.add_argument("--log_level", choices=LOG_LEVELS, default="", help="least severity that the nodes log (info)")
    group.add_argument(
        "--domain_id", type=int, help="ROS domain (ROS_DOMAIN_ID, or a free one in simulation where it is not set)"
    )
    group.add_argument(
        "--discovery", choices=sorted(DISCOVERY), default="localhost", help="which machines may see the graph"
    )
    group.add_argument("--static_peers", default="", help="addresses, separated by ';', for --discovery static_peers")
    group.add_argument(
        "--on_node_exit", choices=ON_NODE_EXIT, default="stop", help="what happens when a node ends by itself"
    )


def chosen_flags(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the flags that `add_graph_flags` adds whose values are not their defaults, by their names.

    Args:
        values: values by name. What else is among them is left out, and what is missing counts as a default.
    """
    parser = argparse.ArgumentParser()
    add_graph_flags(parser)
    defaults = vars(parser.parse_args([]))
    return {name: values[name] for name, default in defaults.items() if values.get(name, default) != default}


def with_graph_flags(start: RunStart, values: Mapping[str, Any]) -> RunStart:
    """Returns a start with the flags that `add_graph_flags` adds and that are not their defaults.

    Args:
        start: what else was given.
        values: values of those flags, by their names.
    """
    return dataclasses.replace(start, flags={**start.flags, **chosen_flags(values)})


def given_to_graph(given: argparse.Namespace) -> RunStart:
    """Returns what is given at the start of a graph, for the page of its run.

    Args:
        given: the parsed flags, with those of the configuration and of `add_graph_flags`. The parameter file among them
            can be read.
    """
    start = with_graph_flags(given_at_start(given), vars(given))
    if not given.params_file:
        return start
    return dataclasses.replace(start, preset=given.config, file=values_of_file(given.params_file))
