"""Listens to a graph in a process of its own, and prints each message as one line of JSON.

The command is `python -m chaos.listener`. It is the witness of what the robot executed, and knows nothing of the nodes
but the topics. A node that was killed cannot change what it has printed.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import Any

import rclpy
from chunk_ppo_msgs import msg
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool
from trajectory_msgs.msg import JointTrajectory

from chaos.heard import Heard

NODE_NAME = "recorder_node_of_chaos"
"""The name of the node. Nodes know by its beginning that it only watches (`nodes/common/peers/listeners.py`)."""
EVERYTHING = QoSProfile(depth=5000, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def _stamp(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def read_chunk(message: Any) -> dict[str, Any]:
    """Returns what is told of a chunk, or of the value after one."""
    version, value = int(message.policy_version), float(message.value)
    return {"stamp": _stamp(message), "number": int(message.sequence_number), "version": version, "value": value}


def read_result(message: Any) -> dict[str, Any]:
    """Returns what is told of a result."""
    status, steps = int(message.status), int(message.num_steps)
    return {"stamp": _stamp(message), "status": status, "steps": steps, "text": message.message}


def _outcome(message: Any) -> dict[str, Any]:
    fields = {"number": int(message.sequence_number), "valid": bool(message.valid), "text": message.message}
    return {"stamp": _stamp(message), "steps": int(message.execution.num_steps), **fields}


def _acknowledgment(message: Any) -> dict[str, Any]:
    fields = {"number": int(message.sequence_number), "version": int(message.policy_version)}
    return {"status": int(message.status), "text": message.message, **fields}


def _event(message: Any) -> dict[str, Any]:
    return {"number": int(message.episode), "status": 10 * int(message.event) + int(message.outcome)}


CLOCK = "/clock"
SILENCE = 0.5
"""The time without a message of the clock after which one is told again, s. It is a sign of life of the simulator."""
TOPICS: dict[str, tuple[type, QoSProfile, Callable[[Any], dict[str, Any]]]] = {
    "action_chunk": (msg.ActionChunk, EVERYTHING, read_chunk),
    "robot/left/joint_trajectory": (JointTrajectory, EVERYTHING, lambda message: {"stamp": _stamp(message)}),
    "execution_result": (msg.ExecutionResult, EVERYTHING, read_result),
    "task_reward": (msg.TaskReward, EVERYTHING, lambda message: {"stamp": _stamp(message)}),
    "chunk_outcome": (msg.ChunkOutcome, EVERYTHING, _outcome),
    "bootstrap": (msg.Bootstrap, EVERYTHING, read_chunk),
    "transition": (msg.Transition, EVERYTHING, lambda message: read_chunk(message.chunk)),
    "transition_ack": (msg.TransitionAck, EVERYTHING, _acknowledgment),
    "policy_version": (msg.PolicyVersion, LATCHED, lambda message: {"version": int(message.version)}),
    "episode_event": (msg.EpisodeEvent, LATCHED, _event),
    "robot_node/active": (Bool, LATCHED, lambda message: {}),
    CLOCK: (Clock, QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT), lambda message: {}),
    "episode_state": (
        msg.EpisodeState,
        LATCHED,
        lambda message: {"count": int(getattr(message, "running_when_robot_died", -1))},
    ),
}
"""The topics that are heard, with the type of the messages, the QoS profile, and what is told of a message."""


class Listener(Node):
    """Prints what it hears."""

    def __init__(self) -> None:
        super().__init__(NODE_NAME, enable_rosout=False)
        for topic, (message_type, profile, read) in TOPICS.items():
            self.create_subscription(message_type, topic, self._printer(topic, read), profile)

    def _printer(self, topic: str, read: Callable[[Any], dict[str, Any]]) -> Callable[[Any], None]:
        heard_at = float("-inf")

        def on_message(message: Any) -> None:
            nonlocal heard_at
            now = time.time()
            is_told = topic != CLOCK or now - heard_at > SILENCE
            heard_at = now
            if is_told:
                sys.stdout.write(Heard(topic, now, **read(message)).line() + "\n")
                sys.stdout.flush()

        return on_message


def main() -> None:
    """Listens until the process is ended, or nobody reads its output any more."""
    rclpy.init()
    executor = SingleThreadedExecutor()
    executor.add_node(Listener())
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


if __name__ == "__main__":
    main()
