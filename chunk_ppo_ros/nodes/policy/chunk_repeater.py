"""Publishes stored chunks again that nobody has settled."""

from __future__ import annotations

import dataclasses

from chunk_ppo_msgs import msg
from rclpy.node import Node

from chunk_ppo_ros.agent.next_step.rollout_state import RolloutState
from chunk_ppo_ros.nodes.policy.chunk_publisher import ChunkPublisher
from chunk_ppo_ros.nodes.policy.policy_store import PolicyStore

FIRST_DELAY, MAX_DELAY = 10.0, 60.0
"""The time after which a chunk is published again, s of the steady clock. It doubles each time, up to the second."""
ANSWER_TIME = 1.0
"""The time within which reward_node answers a repeated chunk whose outcome it knows, s of the steady clock."""
MAX_AT_ONCE = 16
"""The number of chunks that are published again in one call. A chunk has about 450 kB."""


@dataclasses.dataclass(frozen=True)
class _Due:
    """When a chunk is published again, steady s, and the delay after that, s."""

    at: float
    delay: float
    is_forced: bool = False


class ChunkRepeater:
    """Repeats chunks and the values after them after a restart, or where an answer is missing for long.

    The newest chunk is repeated where its outcome is late, and its trajectories after it: nobody knows whether the
    robot got them. robot_node plays a chunk once, however often it gets it. The transition of the newest chunk is not
    complete before the next chunk, so that the chunk is not repeated for want of an acknowledgment.

    Args:
        node: the node, whose logger is used.
        store: has the chunks.
        publisher: publishes them.
        state: the state of the rollout.
        execution_timeout: the time within which a chunk is executed and judged, s.
    """

    def __init__(
        self,
        node: Node,
        store: PolicyStore,
        publisher: ChunkPublisher,
        state: RolloutState,
        *,
        execution_timeout: float,
    ) -> None:
        self._logger = node.get_logger()
        self._store = store
        self._publisher = publisher
        self._state = state
        self._execution_timeout = execution_timeout
        self._due: dict[int, _Due] = {}
        self._trajectories_due: tuple[int, float] | None = None  # of which chunk, and when, steady s
        self.repeat_all()

    def repeat_all(self) -> None:
        """Repeats all chunks at the next call of `repeat`, because this node or reward_node was started anew."""
        self._due = dict.fromkeys(self._store.chunks, _Due(float("-inf"), FIRST_DELAY, is_forced=True))

    def repeat(self, now: float) -> None:
        """Publishes what is due. It must be called once a second while all nodes listen that need it.

        Args:
            now: the time of the steady clock, s.
        """
        self._repeat_trajectories(now)
        due = [number for number in sorted(self._store.chunks) if self._is_due(number, now)]
        for number in due[:MAX_AT_ONCE]:
            self._repeat_chunk(number, now)
        self._due = {number: one for number, one in self._due.items() if number in self._store.chunks}

    def _is_due(self, number: int, now: float) -> bool:
        last = self._state.progress.last
        is_newest = last is not None and last.id.sequence_number == number
        first = FIRST_DELAY + (self._execution_timeout if is_newest else 0.0)
        due = self._due.setdefault(number, _Due(now + first, FIRST_DELAY))
        if is_newest and self._state.awaited_chunk is None and not due.is_forced:
            self._due[number] = _Due(now + FIRST_DELAY, FIRST_DELAY)
            return False
        return due.at <= now

    def _repeat_chunk(self, number: int, now: float) -> None:
        delay = self._due[number].delay
        self._due[number] = _Due(now + delay, min(2.0 * delay, MAX_DELAY))
        stored = self._read(number)
        if stored is None:
            return
        message, bootstrap = stored
        self._logger.info(f"chunk {number} is sent again")
        self._publisher.publish_chunk(message)
        if bootstrap is not None:
            self._publisher.publish_bootstrap(bootstrap)
        awaited = self._state.awaited_chunk
        if awaited is not None and awaited.sequence_number == number and not message.human:
            self._trajectories_due = number, now + ANSWER_TIME

    def _repeat_trajectories(self, now: float) -> None:
        """Publishes the trajectories of the newest chunk again, if its outcome is still not known."""
        awaited = self._state.awaited_chunk
        if self._trajectories_due is None:
            return
        number, at = self._trajectories_due
        if awaited is None or awaited.sequence_number != number or number not in self._store.chunks:
            self._trajectories_due = None
        elif at <= now and self._state.may_move:
            self._trajectories_due = None
            stored = self._read(number)
            if stored is not None:
                self._logger.info(f"the trajectories of chunk {number} are sent again")
                self._publisher.publish_trajectories(stored[0], max_steps=self._state.progress.max_steps)

    def _read(self, number: int) -> tuple[msg.ActionChunk, msg.Bootstrap | None] | None:
        """Returns a chunk and the value after it, or None where it cannot be read now, or is damaged."""
        try:
            stored = self._store.read(number)
        except OSError as error:
            self._logger.error(f"chunk {number} cannot be read to be sent again: {error}")
            return None
        if stored is None:  # It is damaged, and settled by that.
            self._state.settled(number)
        return stored
