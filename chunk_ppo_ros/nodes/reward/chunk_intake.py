"""Receives chunks and the values after them from policy_node, which sends both again until they are settled."""

from __future__ import annotations

import time
from collections.abc import Callable

from chunk_ppo_msgs import msg
from rclpy.node import Node

from chunk_ppo_ros.core.types import ChunkId, SampledChunk
from chunk_ppo_ros.nodes.common.inputs.handled_inputs import Handles, not_told
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.reward.durable.chunk_ledger import KnownChunk
from chunk_ppo_ros.nodes.reward.durable.run_log import RunLog
from chunk_ppo_ros.nodes.reward.episode_director import EpisodeDirector
from chunk_ppo_ros.nodes.reward.outcome_publisher import OutcomePublisher, chunk_of
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.wire import conversions, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.rewards.chunk_records import Pending

MAX_EARLY = 64
"""The number of chunks and values that are kept while the run is not known. policy_node sends others again later."""


class ChunkIntake:
    """Subscribes to `action_chunk` and `bootstrap`.

    Args:
        node: the node that subscribes and logs.
        records: the records of the run.
        director: directs the episodes.
        outcomes: publishes how chunks ended.
        log: stores what is decided.
        guard: leaves out messages of other nodes than policy_node.
        on_chunk: is called after each chunk, because its reports may be complete.
        on_value: is called after each value, because a transition may be complete.
        handles: tells in which order chunks and values are handled among other inputs.
    """

    def __init__(
        self,
        node: Node,
        records: RunRecords,
        director: EpisodeDirector,
        outcomes: OutcomePublisher,
        log: RunLog,
        guard: PublisherGuard,
        *,
        on_chunk: Callable[[], None],
        on_value: Callable[[], None],
        handles: Handles = not_told,
    ) -> None:
        self._logger = node.get_logger()
        self._records = records
        self._director = director
        self._outcomes = outcomes
        self._log = log
        self._early: list[msg.ActionChunk | msg.Bootstrap] = []
        self._on_chunk_added = on_chunk
        self._on_value_added = on_value
        on_chunk_message = handles(topics.ACTION_CHUNK, log.whole_call(self._on_chunk))
        on_bootstrap = handles(topics.BOOTSTRAP, log.whole_call(self._on_bootstrap))
        topics.ACTION_CHUNK.create_subscription(node, guard.only_from_one(topics.ACTION_CHUNK.name, on_chunk_message))
        topics.BOOTSTRAP.create_subscription(node, guard.only_from_one(topics.BOOTSTRAP.name, on_bootstrap))

    def take_early(self) -> None:
        """Takes what arrived before the run was known, for example because this process was started anew."""
        early, self._early = self._early, []
        for message in early:
            (self._on_chunk if isinstance(message, msg.ActionChunk) else self._on_bootstrap)(message)

    def _on_chunk(self, message: msg.ActionChunk) -> None:
        records = self._records
        if not records.run_id:
            self._early = [*self._early, message][-MAX_EARLY:]
            return
        if message.run_id != records.run_id:
            self._logger.warning(f"chunk {message.sequence_number} of run '{message.run_id}' is not used")
            return
        id, stamp = conversions.chunk_id(message), time_to_ns(message.header.stamp)
        known = self._log.ledger.find(id.sequence_number)
        if known is not None:
            self._on_known_chunk(id, message, known)
            return
        if not records.is_current(id):
            self._on_late_chunk(id, stamp, message)
            return
        chunk = self._add(id, stamp, message)
        if chunk is not None:
            records.unheard_until = 0.0
            records.join.add_chunk(stamp, id, chunk.actions, chunk.num_steps_asked, now=time.monotonic())
            self._on_chunk_added()

    def _on_known_chunk(self, id: ChunkId, message: msg.ActionChunk, known: KnownChunk) -> None:
        """Answers a chunk whose outcome is known, and takes it where an earlier process has decided the outcome."""
        if chunk_of(known.outcome) != id:
            self._logger.error(
                f"sequence number {id.sequence_number} must belong to one chunk, got a second chunk with it, which is "
                "not used; look whether two nodes publish chunks"
            )
            return
        self._outcomes.repeat(known)
        waiting = self._records.assembler.records.get(id.sequence_number)
        if isinstance(waiting, Pending) and waiting.chunk is None:
            self._add(id, time_to_ns(message.header.stamp), message)
            self._on_chunk_added()

    def _on_late_chunk(self, id: ChunkId, stamp: int, message: msg.ActionChunk) -> None:
        """Answers a chunk of an episode that is over. Its value is still that of the chunk before."""
        if id.episode not in self._records.interrupted:
            self._outcomes.refuse(id, stamp, "its episode is over")
            return
        if self._add(id, stamp, message) is not None:
            self._director.void_running(id, stamp, "robot_node or the simulator died")
            self._on_chunk_added()

    def _add(self, id: ChunkId, stamp: int, message: msg.ActionChunk) -> SampledChunk | None:
        """Adds a chunk to those that wait for their transitions. Returns None where it is malformed."""
        records = self._records
        try:
            chunk = conversions.chunk_from_message(message)
            records.assembler.add_chunk(id, chunk)
        except ValueError as error:
            self._outcomes.refuse(id, stamp, f"malformed action_chunk: {error}")
            self._director.spoil(f"malformed action_chunk {id.sequence_number}: {error}")
            return None
        records.versions[id.sequence_number] = message.policy_version
        return chunk

    def _on_bootstrap(self, message: msg.Bootstrap) -> None:
        records, number = self._records, message.sequence_number
        if not records.run_id:
            self._early = [*self._early, message][-MAX_EARLY:]
            return
        if message.run_id != records.run_id or number not in records.versions:
            return
        if message.policy_version != records.versions[number]:
            self._logger.error(
                f"bootstrap of chunk {number} must come from version {records.versions[number]}, got "
                f"{message.policy_version}; it is not used"
            )
            return
        try:
            observation, value = conversions.bootstrap_from_message(message)
        except ValueError as error:
            self._director.spoil(f"malformed bootstrap of chunk {number}: {error}")
            return
        source = conversions.source_from_message(message.observation)
        records.assembler.add_bootstrap(number, observation, value, source)
        closing = records.closing
        if closing is not None and closing.id.sequence_number == number:
            self._director.close(closing.ending, closing.message)
        self._on_value_added()
