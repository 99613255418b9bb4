"""Stores what policy_node has sampled, and then publishes it, so that nobody relies on what is not on disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from chunk_ppo_msgs import msg

from chunk_ppo_ros.agent.next_step.rollout_state import RolloutState
from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, EncodeSegment, SampleChunk, Step
from chunk_ppo_ros.agent.next_step.stored_rollout import OpenSegment
from chunk_ppo_ros.data.store import RecordPlace
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.worker import Outcome
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.policy.chunk_publisher import ChunkPublisher
from chunk_ppo_ros.nodes.policy.policy_records import Write
from chunk_ppo_ros.nodes.policy.policy_store import PolicyStore
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors

RETRY_PERIOD = 1.0
"""The time for which the policy holds after something could not be stored, s of the steady clock."""


class ChunkSender:
    """Sends chunks and bootstraps when the worker thread has stored them.

    Args:
        node: the node whose worker stores.
        store: the store.
        publisher: publishes what is stored.
        state: learns what is published.
        old_count: the file in which earlier releases kept the next sequence number. The store replaces it.
        is_due: returns whether a step is still to be taken.
        on_sent: is called after a chunk was published.
        on_change: is called when the next step may be taken.
    """

    def __init__(
        self,
        node: WorkerNode,
        store: PolicyStore,
        publisher: ChunkPublisher,
        state: RolloutState,
        *,
        old_count: Path,
        is_due: Callable[[Step], bool],
        on_sent: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        self._node = node
        self._store = store
        self._publisher = publisher
        self._state = state
        self._old_count = old_count
        self._is_due = is_due
        self._on_sent = on_sent
        self._on_change = on_change
        self._failed_at: float | None = None  # steady s

    @property
    def must_wait(self) -> bool:
        """Whether the disk refused something so lately that it is not tried again yet."""
        return self._failed_at is not None and time.monotonic() - self._failed_at < RETRY_PERIOD

    def send_chunk(self, step: SampleChunk | EncodeSegment, message: msg.ActionChunk, *, max_steps: int) -> None:
        """Stores the chunk of a step, and publishes it if the step is still due then.

        Args:
            step: the step.
            message: the chunk.
            max_steps: the greatest number of control steps that the robot may execute of it.
        """
        stamp = time_to_ns(message.header.stamp)

        def on_stored(write: Write, places: list[RecordPlace]) -> None:
            self._store.note(write, places, message)
            if not self._is_due(step):
                self._store.settle(message.sequence_number)  # Its sequence number stays free.
                return
            self._publisher.publish_chunk(message)
            if isinstance(step, SampleChunk):
                self._publisher.publish_trajectories(message, max_steps=max_steps)
            self._on_sent()
            self._state.chunk_sent(step, stamp=stamp, max_steps=max_steps)

        progress = self._state.progress.after_chunk(step, stamp=stamp, max_steps=max_steps)
        self._submit(self._store.write_chunk(message, progress), on_stored, withdraws=message)

    def send_bootstrap(self, step: Bootstrap, message: msg.Bootstrap) -> None:
        """Stores the value of a step, and publishes it if the step is still due then."""

        def on_stored(write: Write, places: list[RecordPlace]) -> None:
            self._store.note(write, places)
            if not self._is_due(step):
                return
            self._publisher.publish_bootstrap(message)
            self._state.bootstrap_sent(step)

        self._submit(self._store.write_bootstrap(message, self._state.progress.without_last()), on_stored)

    def store_segment(self, stamp: int, readings: SyncedSensors) -> None:
        """Stores the readings before a segment that a human drives, so that it becomes a chunk after a restart too.

        Args:
            stamp: the stamp of the segment, ns of ROS time.
            readings: the sensor readings before it.
        """
        progress = self._state.progress
        if progress.episode.number is not None:
            segment = OpenSegment(stamp, progress.episode.number, readings)
            size = self._node.config.model.image_size
            self._submit(self._store.write_segment(segment, progress, image_size=size), self._store.note)

    def store_settled(self) -> None:
        """Stores which chunks nobody needs any more, where this is not stored and nothing else is being done."""
        write = None if self._node.is_working else self._store.write_settled(self._state.progress)
        if write is not None:
            self._submit(write, self._store.note)

    def _submit(
        self,
        write: Write,
        on_stored: Callable[[Write, list[RecordPlace]], None],
        *,
        withdraws: msg.ActionChunk | None = None,
    ) -> None:
        """Stores records in the worker thread.

        Args:
            write: the records.
            on_stored: is called with them and their places when they survive a power cut.
            withdraws: the chunk among them, which is withdrawn if the node is cleaned up meanwhile.
        """

        def then(outcome: Outcome[list[RecordPlace]]) -> None:
            places = self._stored(outcome)
            if places is not None:
                on_stored(write, places)
                self._on_change()

        def dropped(outcome: Outcome[list[RecordPlace]]) -> None:
            places = self._stored(outcome)
            if places is not None:
                self._store.note(write, places, withdraws)
                if withdraws is not None:
                    self._store.settle(withdraws.sequence_number)

        self._node.submit(lambda: self._store.run(write), then, dropped=dropped)

    def _stored(self, outcome: Outcome[list[RecordPlace]]) -> list[RecordPlace] | None:
        """Returns the places of what was stored, or None where the disk refused it, which holds the policy."""
        try:
            places = outcome.result()
            self._old_count.unlink(missing_ok=True)
        except OSError as error:
            self._failed_at = time.monotonic()
            self._node.raise_condition(condition_table.CHUNK_NOT_STORED, reason=str(error))
            return None
        self._failed_at = None
        self._node.clear_condition(condition_table.CHUNK_NOT_STORED)
        return places
