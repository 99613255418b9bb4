"""Listens to the results of chunks as reward_node does, for tests of robot_node without reward_node."""

from __future__ import annotations

from chunk_ppo_msgs.msg import ChunkOutcome, ExecutionResult
from rclpy.node import Node

from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns


def hear_results(node: Node, results: list[ExecutionResult]) -> None:
    """Adds each result to the list once, and answers it by an outcome, until which robot_node repeats it."""
    known: set[int] = set()
    outcomes = topics.CHUNK_OUTCOME.create_publisher(node)

    def on_result(result: ExecutionResult) -> None:
        stamp = time_to_ns(result.header.stamp)
        if stamp not in known:
            known.add(stamp)
            results.append(result)
        outcomes.publish(
            ChunkOutcome(header=result.header, run_id=result.run_id, sender=result.sender, execution=result)
        )

    topics.EXECUTION_RESULT.create_subscription(node, on_result)
