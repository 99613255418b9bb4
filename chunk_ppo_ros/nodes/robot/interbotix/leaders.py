"""Sees who commands the leader arms. robot_node commands none, so that nothing here is sent."""

from __future__ import annotations

from rclpy.node import Node

from chunk_ppo_ros.data.topic_names import GROUP_COMMANDS
from chunk_ppo_ros.nodes.common.peers.foreign_publishers import publishers_of
from chunk_ppo_ros.nodes.robot.robot_backends import Finding
from chunk_ppo_ros.nodes.wire import topics

GRAVITY_COMPENSATION = "gravity_compensation"
"""The name of Interbotix's node that holds a leader against gravity, which aloha_bringup starts by default."""


def leader_findings(node: Node) -> tuple[Finding, ...]:
    """Returns who commands each leader whose driver runs, with advice where two nodes do."""
    return tuple(
        _finding(f"leader_{side}", sorted({name for name, _ in publishers_of(node, f"leader_{side}/{GROUP_COMMANDS}")}))
        for side, states in topics.LEADER_STATES.items()
        if node.get_publishers_info_by_topic(states.name)
    )


def _finding(leader: str, nodes: list[str]) -> Finding:
    if not nodes:
        return Finding(leader, "no node commands it")
    text = ", ".join(
        f"{node} (gravity compensation)" if node.endswith(f"/{GRAVITY_COMPENSATION}") else node for node in nodes
    )
    advice = f"{' and '.join(nodes)} both command it; stop one of them, or the arm leaps between their commands"
    return Finding(leader, f"commanded by {text}", advice if len(nodes) > 1 else "")
