"""A reward source of your own: a node that reads a scale and pays for what was poured during each chunk.

Start the graph with it, and the source beside it, in the same ROS domain:

    chunk_ppo graph --config demo --exp_name scale --sources task scale --domain_id 42
    ROS_DOMAIN_ID=42 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST .venv/bin/python examples/own_reward_source.py
"""

from __future__ import annotations

import contextlib

import rclpy
from chunk_ppo_msgs.msg import ExecutionResult, RewardTerm, TaskReward
from rclpy.node import Node


class Scale(Node):
    """Answers every `execution_result` by a `task_reward` with the same stamp."""

    def __init__(self) -> None:
        """Makes the topics. The name of the source, "scale", stands in `reward.sources` too."""
        super().__init__("scale")
        self.publisher = self.create_publisher(TaskReward, "task_reward", 64)
        self.create_subscription(ExecutionResult, "execution_result", self.on_result, 64)
        self.answer = TaskReward()

    def on_result(self, result: ExecutionResult) -> None:
        """Sends the reward of a chunk. A result that comes again gets the same answer, which may have been lost."""
        if not result.num_steps:
            return  # The chunk was refused: nothing moved, and nothing is paid.
        if result.header.stamp != self.answer.header.stamp:
            term = RewardTerm(name="poured_kg", value=self.poured_since_last_chunk(), weight=1.0)
            self.answer = TaskReward(
                header=result.header, run_id=result.run_id, sender=result.sender, source="scale", terms=[term]
            )
        self.publisher.publish(self.answer)

    def poured_since_last_chunk(self) -> float:
        """Reads the scale. Put your own code here."""
        return 0.0


if __name__ == "__main__":
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt):
        rclpy.spin(Scale())
