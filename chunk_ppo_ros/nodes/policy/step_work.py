"""Computes what the steps of the policy need in the worker thread, and sends the results that are still due."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.next_step.rollout_state import RolloutState
from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, EncodeSegment, SampleChunk, Step
from chunk_ppo_ros.core.types import ModelObservation, SampledChunk
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.worker import Outcome, ResultT
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.policy.chunk_publisher import ChunkPublisher, bootstrap_message
from chunk_ppo_ros.nodes.policy.chunk_sender import ChunkSender
from chunk_ppo_ros.nodes.policy.policy_diagnostics import ActTimes
from chunk_ppo_ros.nodes.policy.sensors import make_observation
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors


@dataclasses.dataclass(frozen=True)
class _Valued:
    """An observation after a segment, and its value."""

    observation: ModelObservation
    value: float


class StepWork:
    """Samples chunks, makes chunks of what a human commanded, and values observations.

    Args:
        node: the node whose worker computes.
        state: the state of the rollout.
        publisher: makes the messages.
        sender: stores and sends them.
        is_due: returns whether a step that was computed is still to be taken.
        on_change: is called when the next step may be taken.
    """

    def __init__(
        self,
        node: WorkerNode,
        state: RolloutState,
        publisher: ChunkPublisher,
        sender: ChunkSender,
        *,
        is_due: Callable[[Step], bool],
        on_change: Callable[[], None],
    ) -> None:
        self._node = node
        self._state = state
        self._publisher = publisher
        self._sender = sender
        self._is_due = is_due
        self._on_change = on_change
        self.times = ActTimes(node.config.robot.control_rate)
        """How long the newest chunks took."""

    def sample(self, actor: Actor, step: SampleChunk, readings: SyncedSensors) -> None:
        """Samples the chunk of a step from readings, and sends it to the robot."""

        def sample() -> SampledChunk:
            return actor.act(self._observe(actor, readings, step.prompt), sequence_number=step.chunk.sequence_number)

        started = time.monotonic()

        def then(outcome: Outcome[SampledChunk]) -> None:
            self.times.note(time.monotonic() - started)
            self._on_sampled(actor, step, readings, outcome)

        self._node.submit(sample, then)

    def encode(self, actor: Actor, step: EncodeSegment) -> None:
        """Makes a chunk of what a human commanded, and sends it to the trainer."""
        segment = step.segment

        def encode() -> SampledChunk:
            return actor.human_chunk(self._observe(actor, segment.readings, step.prompt), segment.commanded)

        self._node.submit(encode, lambda outcome: self._on_encoded(step, outcome))

    def bootstrap(self, actor: Actor, step: Bootstrap, readings: SyncedSensors) -> None:
        """Computes the value of readings after a segment, and sends it."""

        def value() -> _Valued:
            observation = self._observe(actor, readings, step.prompt)
            return _Valued(observation, actor.value(observation))

        self._node.submit(value, lambda outcome: self._on_valued(step, readings, outcome))

    def _observe(self, actor: Actor, readings: SyncedSensors, prompt: str) -> ModelObservation:
        """Returns the observation for the model. This runs in the worker thread."""
        size = self._node.config.model.image_size
        return actor.observe(make_observation(readings, image_size=size, prompt=prompt))

    def _on_sampled(
        self, actor: Actor, step: SampleChunk, readings: SyncedSensors, outcome: Outcome[SampledChunk]
    ) -> None:
        chunk = self._checked(outcome)
        if chunk is None:
            return
        if not self._is_due(step):
            self._on_change()  # The chunk is no longer needed, and its sequence number stays free.
            return
        if chunk.valid:
            self._node.clear_condition(condition_table.TOKENS_INVALID)
        else:
            self._node.raise_condition(condition_table.TOKENS_INVALID, reason=actor.why_invalid(chunk))
        # reward_node ends the episode. If it has counted fewer steps than this node, chunks of one step follow.
        num_left = max(1, self._node.config.max_episode_steps - self._state.num_steps)
        self._sender.send_chunk(step, self._publisher.sampled_message(step, chunk, readings), max_steps=num_left)

    def _on_encoded(self, step: EncodeSegment, outcome: Outcome[SampledChunk]) -> None:
        chunk = self._checked(outcome)
        if self._state.next_step() == step:
            if chunk is None:
                self._state.segments.drop_oldest()  # Its observation would be refused again.
            else:
                self._send_human_driven(step, chunk)
        self._on_change()

    def _send_human_driven(self, step: EncodeSegment, chunk: SampledChunk) -> None:
        if chunk.valid or chunk.num_steps_asked < self._node.config.model.action_horizon:
            self._node.clear_condition(condition_table.SEGMENT_TOO_LONG)
        else:
            self._node.raise_condition(condition_table.SEGMENT_TOO_LONG)
        message = self._publisher.human_driven_message(step, chunk)
        self._sender.send_chunk(step, message, max_steps=chunk.num_steps_asked)

    def _on_valued(self, step: Bootstrap, readings: SyncedSensors, outcome: Outcome[_Valued]) -> None:
        valued = self._checked(outcome)
        if valued is None:
            return
        if self._is_due(step):
            stamp = self._state.progress.stamp
            message = bootstrap_message(step, valued.observation, valued.value, readings, stamp=stamp)
            self._sender.send_bootstrap(step, message)
        self._on_change()

    def _checked(self, outcome: Outcome[ResultT]) -> ResultT | None:
        """Returns the result, or None if the observation was refused. The next readings are then tried."""
        try:
            result = outcome.result()
        except ValueError as error:
            self._node.raise_condition(condition_table.OBSERVATION_REFUSED, reason=str(error))
            return None
        self._node.clear_condition(condition_table.OBSERVATION_REFUSED)
        return result
