"""Watches for policy_node whether the other nodes do their part."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rclpy.publisher import Publisher

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.peers.listeners import Listeners
from chunk_ppo_ros.nodes.common.peers.presence import PresenceWatch
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.wire import topics


class PeerMonitor:
    """Watches the subscribers, the trainer and the execution of chunks.

    Args:
        node: the node that reports the conditions.
        config: the configuration, which says how long a chunk may take.
        publishers: the publishers whose messages are lost if nobody listens.

    Attributes:
        execution_timeout: the time within which a chunk is executed and judged, s.
    """

    def __init__(self, node: WorkerNode, config: TrainConfig, publishers: Sequence[Publisher]) -> None:
        self._node = node
        self._listeners = Listeners(node, publishers)
        self._presence = PresenceWatch(node, [topics.POLICY_VERSION.name])
        duration = config.model.action_horizon / config.robot.control_rate
        self.execution_timeout = duration + config.robot.chunk_deadline + config.reward.source_timeout
        self._sent_at = time.monotonic()  # the time at which the newest chunk was sent, s of steady time

    def all_listen(self) -> bool:
        """Returns whether all nodes that execute and count chunks listen. Messages are lost before that."""
        deaf = self._listeners.unheard()
        if deaf:
            self._node.raise_condition(condition_table.NOBODY_LISTENS, topics=", ".join(deaf))
        else:
            self._node.clear_condition(condition_table.NOBODY_LISTENS)
        return not deaf

    def chunk_sent(self) -> None:
        """Records that a chunk was published. Its execution is waited for from now on."""
        self._sent_at = time.monotonic()

    def watch(self, awaited: ChunkId | None) -> None:
        """Looks at the trainer and at the execution of the newest chunk. It must be called once a second.

        Args:
            awaited: the chunk whose outcome is not known, or None.
        """
        now = time.monotonic()
        self._watch_trainer(now)
        self._watch_execution(awaited, now - self._sent_at)

    def _watch_trainer(self, now: float) -> None:
        for change in self._presence.update(now):
            if change.present:
                self._node.clear_condition(condition_table.TRAINER_LEFT, name=change.name)
            else:
                self._node.raise_condition(condition_table.TRAINER_LEFT, name=change.name)

    def _watch_execution(self, awaited: ChunkId | None, waited: float) -> None:
        if awaited is None:
            self._node.clear_condition(condition_table.CHUNK_UNFINISHED)
        elif waited > self.execution_timeout:
            self._node.raise_condition(
                condition_table.CHUNK_UNFINISHED, sequence_number=awaited.sequence_number, waited=waited
            )
