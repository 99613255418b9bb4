"""Whether the others do their part, as policy_node sees it; each lack is told once, and once when it is over."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rclpy.publisher import Publisher

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.nodes.common.presence import PresenceWatch
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode


class PeerMonitor:
    """Looks after listeners, the trainer and the execution of chunks.

    Args:
        node: complains.
        config: says how long a chunk may take.
        publishers: of what is lost where nobody listens.
    """

    def __init__(self, node: WorkerNode, config: TrainConfig, publishers: Sequence[Publisher]) -> None:
        self._node = node
        self._publishers = publishers
        self._presence = PresenceWatch(node, ["policy_version"])
        duration = config.model.action_horizon / config.robot.control_rate
        self._execution_timeout = duration + config.robot.chunk_deadline + config.reward.source_timeout
        self._sent_at = 0.0  # when the newest chunk was sent, s of steady time

    def all_listen(self) -> bool:
        """Whether a chunk would reach those who execute and count it: what is published before that is lost."""
        deaf = [publisher.topic_name for publisher in self._publishers if not publisher.get_subscription_count()]
        if deaf:
            text = f"nobody listens on {', '.join(deaf)}; the policy holds, check that robot_node and reward_node run"
            self._node.complain("listeners", text, about=tuple(deaf))
        else:
            self._node.relieve("listeners", "robot_node and reward_node listen")
        return not deaf

    def chunk_sent(self) -> None:
        """A chunk is on its way."""
        self._sent_at = time.monotonic()

    def watch(self, awaited: ChunkId | None) -> None:
        """Once a second.

        Args:
            awaited: the chunk that nobody has said the end of, if there is one.
        """
        now = time.monotonic()
        self._watch_trainer(now)
        self._watch_execution(awaited, now - self._sent_at)

    def _watch_trainer(self, now: float) -> None:
        for change in self._presence.update(now):
            if change.present:
                self._node.relieve("trainer", "trainer_node is back in the graph")
            else:
                self._node.complain("trainer", "trainer_node left the graph; the policy fills its rollout and waits")

    def _watch_execution(self, awaited: ChunkId | None, waited: float) -> None:
        if awaited is None:
            self._node.relieve("execution", "the chunk is answered or its episode is over; the policy goes on")
        elif waited > self._execution_timeout:
            text = (
                f"chunk {awaited.sequence_number} was sent {waited:.1f} s ago and nobody says how it ended; the policy "
                "waits: check robot_node, the reward sources and reward_node, or end the episode"
            )
            self._node.complain("execution", text, about=awaited.sequence_number)
