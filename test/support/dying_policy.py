"""Runs policy_node with an actor without a model, in a process that kills itself at a chosen instant.

Usage: python -m support.dying_policy INSTANT [ROS ARGUMENTS]. INSTANT is a key of `INSTANTS`, or "never".
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from chunk_ppo_ros.agent.next_step.rollout_state import RolloutState
from chunk_ppo_ros.nodes.policy import actor_store, chunk_publisher, policy_node
from chunk_ppo_ros.nodes.policy.chunk_publisher import ChunkPublisher
from chunk_ppo_ros.nodes.policy.policy_store import PolicyStore
from support.fake_actor import FakeActor, FakeCheckpoint

INSTANTS: dict[str, tuple[Any, str, int]] = {
    "loading": (FakeActor, "load", 1),
    "sampling": (FakeActor, "act", 1),
    "before it is stored": (PolicyStore, "run", 1),
    "before it is published": (ChunkPublisher, "publish_chunk", 1),
    "before its trajectories": (ChunkPublisher, "publish_trajectories", 1),
    "between its halves": (chunk_publisher.joints, "arm_trajectory_to_message", 2),
    "while it runs": (RolloutState, "chunk_sent", 1),
    "at its outcome": (RolloutState, "chunk_ended", 1),
    "encoding": (FakeActor, "human_chunk", 1),
    "before its value is computed": (FakeActor, "value", 1),
    "after its value": (RolloutState, "bootstrap_sent", 1),
    "before its value is published": (ChunkPublisher, "publish_bootstrap", 1),
}
"""What is called right after each instant, and the call before which the process dies, from 1."""


def die_before(owner: Any, name: str, call: int) -> None:
    """Makes the process kill itself before a call of a function."""
    function, num_calls = getattr(owner, name), 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal num_calls
        num_calls += 1
        if num_calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    setattr(owner, name, dying)


if __name__ == "__main__":
    actor_store.Actor = FakeActor  # type: ignore[misc, assignment]
    actor_store.Checkpoint = FakeCheckpoint  # type: ignore[misc, assignment]
    instant = sys.argv.pop(1)
    if instant != "never":
        die_before(*INSTANTS[instant])
    policy_node.main()
