"""Finds the class of a node without starting it."""

from __future__ import annotations

import importlib

from rclpy.node import Node

from chunk_ppo_ros.runtime.description import NODES


def node_class(name: str) -> type[Node]:
    """Returns the class of a node of the graph, such as RobotNode for robot_node."""
    module = next(entry.module for entry in NODES if entry.name == name)
    found: type[Node] = getattr(importlib.import_module(module), name.title().replace("_", ""))
    return found
