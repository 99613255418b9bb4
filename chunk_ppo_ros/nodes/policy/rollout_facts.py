"""Reports the messages of the other nodes to the rollout's state."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from chunk_ppo_msgs import msg
from std_msgs.msg import Bool

from chunk_ppo_ros.agent.next_step.refusals import Refusals
from chunk_ppo_ros.agent.next_step.rollout_state import RolloutState
from chunk_ppo_ros.agent.next_step.stored_rollout import StoredRollout
from chunk_ppo_ros.core.execution import HUMAN_DRIVES, ExecutionResult
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.peers.presence import PresenceWatch
from chunk_ppo_ros.nodes.common.peers.publisher_guard import PublisherGuard
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.policy.policy_store import PolicyStore
from chunk_ppo_ros.nodes.policy.scene_watch import SceneWatch
from chunk_ppo_ros.nodes.wire import conversions, topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors


class RolloutFacts:
    """Subscribes to topics of reward_node, robot_node and trainer_node, and keeps the state of the rollout.

    Args:
        node: the node that subscribes and reports the conditions.
        store: learns which chunks nobody needs any more.
        stored: what an earlier process has stored.
        scene: learns when a new scene begins.
        action_dim: D, the number of values in a target.
        peek: returns the newest sensor readings, or None if there are none yet.
        on_change: is called after each change of the state.
        on_referee: is called when reward_node was started anew.
        on_segment: is called when a human begins a segment, with its stamp and the readings before it.

    Attributes:
        state: the facts that decide the next step.
        refusals: says whether the policy must wait because the robot refuses chunks.
        guard: leaves out what other nodes than the right ones say.
    """

    def __init__(
        self,
        node: WorkerNode,
        store: PolicyStore,
        stored: StoredRollout,
        scene: SceneWatch,
        *,
        action_dim: int,
        peek: Callable[[], SyncedSensors | None],
        on_change: Callable[[], None],
        on_referee: Callable[[], None],
        on_segment: Callable[[int, SyncedSensors], None],
    ) -> None:
        self.state = RolloutState(stored)
        self.refusals = Refusals()
        self._store = store
        self._scene = scene
        self._on_referee = on_referee
        self._on_segment = on_segment
        self._node = node
        self._action_dim = action_dim
        self._peek = peek
        self._on_change = on_change
        self.guard = PublisherGuard(node, node)
        for topic, on_message in (
            (topics.EPISODE_EVENT, self._on_episode_event),
            (topics.CHUNK_OUTCOME, self._on_chunk_outcome),
            (topics.TRANSITION_ACK, self._on_transition_ack),
            (topics.REPEATED_ACK, self._on_repeated_ack),
        ):
            subscribe(node, node, topic, on_message, note_sender=self.guard.only_from_one)
        subscribe(node, node, topics.TAKEOVER_STATE, self._on_takeover_state)
        on_result = self.guard.only_from_one(topics.EXECUTION_RESULT.name, self._on_result)
        topics.EXECUTION_RESULT.create_subscription(node, on_result)
        topics.ROBOT_ACTIVE.create_subscription(node, self._on_robot_active)
        self._referee = PresenceWatch(node, [topics.EPISODE_EVENT.name])

    def watch(self) -> None:
        """Notices that reward_node was started anew. It must be called once a second."""
        self.guard.watch()
        if any(change.present for change in self._referee.update(time.monotonic())):
            self._on_referee()

    def on_readings(self) -> None:
        """Keeps new sensor readings while a human drives, because a segment may begin with any of them."""
        readings = self._peek() if self.state.is_human_driven else None
        if readings is not None:
            self.state.segments.add_readings(readings)
        self._on_change()

    def _on_episode_event(self, message: msg.EpisodeEvent) -> None:
        stamp, prompt = time_to_ns(message.header.stamp), message.prompt
        if message.event in (msg.EpisodeEvent.RESET, msg.EpisodeEvent.ENDED):
            self._store.forget_segments()
        if message.event == msg.EpisodeEvent.RESET:
            self._scene.episode_reset(time.monotonic())
        if message.event in (msg.EpisodeEvent.RESET, msg.EpisodeEvent.READY):
            self.state.episode_reset(message.episode, prompt=prompt)
        elif message.event == msg.EpisodeEvent.STARTED:
            if not self.state.progress.episode.is_running:  # Otherwise it is told again.
                self._scene.episode_reset(time.monotonic())
            self.state.episode_started(message.episode, prompt=prompt, stamp=stamp)
        elif message.event == msg.EpisodeEvent.ENDED:
            discarded = message.outcome == msg.EpisodeEvent.DISCARDED
            truncated = message.outcome == msg.EpisodeEvent.TIME_LIMIT
            # An episode without an outcome was cut by the end of the run, or by a stop of the graph.
            interrupted = message.outcome in (msg.EpisodeEvent.INTERRUPTED, msg.EpisodeEvent.NONE)
            if interrupted:
                self._scene.episode_interrupted(time.monotonic())
            self.state.episode_ended(message.episode, discarded=discarded, truncated=truncated, interrupted=interrupted)
            if discarded and message.run_id == self.state.progress.run_id:
                self._store.settle_episode(message.episode)
        else:
            paused = message.event == msg.EpisodeEvent.PAUSED
            self.state.episode_paused(message.episode, prompt=prompt, paused=paused, stamp=stamp)
        self._on_change()

    def _is_of_this_robot(self, message: msg.ChunkOutcome | msg.TransitionAck) -> bool:
        """Returns whether a message is about a chunk of this node. Robots of one run have the same numbers."""
        return (message.run_id, message.sender) == (self.state.progress.run_id, DEFAULT_SENDER)

    def _on_chunk_outcome(self, message: msg.ChunkOutcome) -> None:
        if not self._is_of_this_robot(message):
            return
        refused = not message.valid and message.execution.status == msg.ExecutionResult.REFUSED
        self.refusals.note(refused=refused, now=time.monotonic())
        if message.valid:
            self._node.clear_condition(condition_table.CHUNK_REFUSED)
        else:
            self._store.settle(message.sequence_number)
            if HUMAN_DRIVES in message.message:
                self.state.refused_for_human(time_to_ns(message.header.stamp))
            number, reason = message.sequence_number, message.message
            self._node.raise_condition(condition_table.CHUNK_REFUSED, sequence_number=number, reason=reason)
        self.state.chunk_ended(
            message.sequence_number,
            end=time_to_ns(message.execution.end),
            num_steps=message.execution.num_steps,
            valid=message.valid,
            terminated=message.terminated,
            truncated=message.truncated,
            cut_by_takeover=message.intervened,
        )
        self._on_change()

    def _on_transition_ack(self, message: msg.TransitionAck) -> None:
        if not self._is_of_this_robot(message):
            return
        if message.status != msg.TransitionAck.RETRY:
            self._store.settle(message.sequence_number)
        self.state.acknowledged(
            message.sequence_number,
            version=message.policy_version,
            num_accepted=message.num_accepted,
            num_required=message.num_required,
            retry=message.status == msg.TransitionAck.RETRY,
        )
        self._on_change()

    def _on_repeated_ack(self, message: msg.TransitionAck) -> None:
        """Takes an answer that trainer_node gave before. Its counts are old."""
        if self._is_of_this_robot(message) and message.status != msg.TransitionAck.RETRY:
            self._store.settle(message.sequence_number)
            self.state.settled(message.sequence_number)
            self._on_change()

    def _on_takeover_state(self, message: msg.TakeoverState) -> None:
        self.state.driver_reported(
            human=message.human,
            stamp=time_to_ns(message.header.stamp),
            segment=time_to_ns(message.segment),
        )
        self.on_readings()
        stamp = time_to_ns(message.segment)
        readings = self.state.segments.begin(stamp)
        if readings is not None:
            self._on_segment(stamp, readings)
        self._on_change()

    def _on_robot_active(self, message: Bool) -> None:
        self.state.robot_changed(active=message.data)
        self._on_change()

    def _on_result(self, message: msg.ExecutionResult) -> None:
        """Keeps the targets that a human commanded, to make a chunk of them.

        Results of the policy's chunks are ignored, because reward_node reports how those ended.
        """
        if not message.human:
            return
        try:
            commanded = self._commanded(conversions.execution_from_message(message))
        except ValueError as error:
            self._node.raise_condition(condition_table.COMMANDS_MALFORMED, reason=str(error))
            return
        self._node.clear_condition(condition_table.COMMANDS_MALFORMED)
        problem = self.state.segments.end(time_to_ns(message.header.stamp), commanded)
        if problem:
            self._node.raise_condition(condition_table.SEGMENT_UNUSED, reason=problem)
        else:
            self._node.clear_condition(condition_table.SEGMENT_UNUSED)
        self._on_change()

    def _commanded(self, execution: ExecutionResult) -> np.ndarray:
        """Returns float32 [k, D], the targets of a segment that a human drove, without any where no step counts.

        Raises:
            ValueError: when they are not recorded, or have the shape of another robot.
        """
        if not execution.num_steps:
            return np.zeros((0, self._action_dim), np.float32)
        shape = (execution.num_steps, self._action_dim)
        if execution.commanded.shape != shape:
            raise ValueError(f"commanded must have shape {shape}, got {execution.commanded.shape}")
        return execution.commanded
