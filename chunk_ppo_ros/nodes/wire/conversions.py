"""The types of `types.py` to and from their messages.

Arrays keep every bit; scalar floats are float32 on the wire and are rounded to it on the way out, so that sender and
receiver hold the same numbers. Everything that comes in is checked: shapes, lengths, finiteness and ranges; an error
names the field.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from chunk_ppo_msgs import msg

from chunk_ppo_ros.core import types
from chunk_ppo_ros.core.execution import Cause, ExecutionResult, Status
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.types import ObservationSource
from chunk_ppo_ros.nodes.wire.arrays import NANOSECONDS as NANOSECONDS
from chunk_ppo_ros.nodes.wire.arrays import (
    finite,
    from_array,
    from_bools,
    from_optional,
    header_of,
    time_from_ns,
    time_to_ns,
    to_array,
    to_bools,
    to_float32,
    to_optional,
    unit_interval,
)

# Observations.


def observation_to_message(observation: types.ModelObservation, source: ObservationSource) -> msg.ModelObservation:
    """One observation without batch axis as its message."""
    num_cameras, height, width, _ = observation.images.shape
    return msg.ModelObservation(
        stamp=time_from_ns(source.stamp),
        num_cameras=num_cameras,
        height=height,
        width=width,
        images=to_array(observation.images, "uint8"),
        image_mask=to_bools(observation.image_mask),
        state=to_array(observation.state, "float32"),
        prompt=source.prompt,
        prompt_tokens=to_array(observation.prompt_tokens, "int32"),
        prompt_length=int(np.sum(observation.prompt_mask)),
    )


def observation_from_message(message: msg.ModelObservation, name: str = "observation") -> types.ModelObservation:
    """The observation of a message.

    Raises:
        ValueError: where a field does not fit the others or is not finite; `name` is its prefix.
    """
    num_slots = len(message.prompt_tokens)
    if not 0 <= message.prompt_length <= num_slots:
        raise ValueError(f"{name}.prompt_length must be within 0..{num_slots}, got {message.prompt_length}")
    if not len(message.state):
        raise ValueError(f"{name}.state must not be empty")
    shape = (message.num_cameras, message.height, message.width, 3)
    return types.ModelObservation(
        images=from_array(message.images, "uint8", shape, f"{name}.images"),
        image_mask=from_bools(message.image_mask, message.num_cameras, f"{name}.image_mask"),
        prompt_tokens=from_array(message.prompt_tokens, "int32", (num_slots,), f"{name}.prompt_tokens"),
        prompt_mask=np.arange(num_slots) < message.prompt_length,
        state=from_array(message.state, "float32", (len(message.state),), f"{name}.state"),
    )


def source_from_message(message: msg.ModelObservation) -> ObservationSource:
    """Stamp and prompt of an observation's message."""
    return ObservationSource(time_to_ns(message.stamp), message.prompt)


# Chunks.


def chunk_id(message: msg.ActionChunk | msg.ChunkOutcome) -> types.ChunkId:
    """The identity in an ActionChunk or ChunkOutcome message."""
    return types.ChunkId(message.run_id, message.sequence_number, message.episode, message.chunk, message.sender)


def _check_format(message: Any) -> None:
    """Refuses a message of another layout, whose other fields may mean something else.

    Raises:
        ValueError: saying so.
    """
    if message.format.version != message.format.VERSION:
        raise ValueError(
            f"format.version must be {message.format.VERSION}, got {message.format.version}; build all nodes from one "
            "version of this package"
        )


def chunk_to_message(id: types.ChunkId, chunk: types.SampledChunk, *, stamp: int) -> msg.ActionChunk:
    """A sampled chunk as its message.

    Args:
        id: where it stands in the run.
        chunk: the chunk.
        stamp: the stamp that it shares with its trajectories, ns of ROS time.
    """
    horizon, action_dim = chunk.actions.shape
    return msg.ActionChunk(
        header=header_of(stamp),
        run_id=id.run_id,
        sender=id.sender,
        sequence_number=id.sequence_number,
        episode=id.episode,
        chunk=id.chunk,
        policy_version=chunk.policy_version,
        observation=observation_to_message(chunk.observation, chunk.source),
        action_tokens=to_array(chunk.action_tokens, "int32"),
        token_mask=to_bools(chunk.token_mask),
        token_log_probs=to_array(chunk.token_log_probs, "float32"),
        temperature=to_float32(chunk.temperature),
        value=to_float32(chunk.value),
        horizon=horizon,
        action_dim=action_dim,
        actions=to_array(chunk.actions, "float32"),
        valid=chunk.valid,
        human=chunk.human_driven,
        num_steps_asked=chunk.num_steps_asked,
        num_steps_committed=chunk.num_steps_committed,
        entropy=to_float32(chunk.entropy),
    )


def chunk_from_message(message: msg.ActionChunk) -> types.SampledChunk:
    """The chunk of a message.

    Raises:
        ValueError: where a field does not fit the others, is not finite or out of range.
    """
    _check_format(message)
    num_tokens = len(message.action_tokens)
    if not 1 <= message.num_steps_asked <= message.horizon:
        raise ValueError(f"num_steps_asked must be within 1..{message.horizon}, got {message.num_steps_asked}")
    temperature = finite(message.temperature, "temperature")
    if temperature <= 0.0:
        raise ValueError(f"temperature must be more than 0, got {temperature}")
    token_log_probs = from_array(message.token_log_probs, "float32", (num_tokens,), "token_log_probs")
    if (token_log_probs > 1e-3).any():
        raise ValueError(f"token_log_probs must not be positive, got {token_log_probs.max()}")
    return types.SampledChunk(
        observation=observation_from_message(message.observation),
        action_tokens=from_array(message.action_tokens, "int32", (num_tokens,), "action_tokens"),
        token_mask=from_bools(message.token_mask, num_tokens, "token_mask"),
        token_log_probs=token_log_probs,
        value=finite(message.value, "value"),
        actions=from_array(message.actions, "float32", (message.horizon, message.action_dim), "actions"),
        policy_version=message.policy_version,
        temperature=temperature,
        num_steps_asked=message.num_steps_asked,
        entropy=finite(message.entropy, "entropy"),
        valid=message.valid,
        human_driven=message.human,
        source=source_from_message(message.observation),
        num_steps_committed=message.num_steps_committed,
    )


def bootstrap_to_message(
    id: types.ChunkId,
    observation: types.ModelObservation,
    source: ObservationSource,
    *,
    stamp: int,
    value: float,
    policy_version: int,
) -> msg.Bootstrap:
    """The observation after the last chunk `id` of a segment, and its value.

    Args:
        id: the last chunk.
        observation: the observation after it.
        source: stamp and prompt of that observation.
        stamp: stamp of the chunk, ns of ROS time.
        value: V(observation), in units of reward.
        policy_version: the version that computed the value.
    """
    return msg.Bootstrap(
        header=header_of(stamp),
        run_id=id.run_id,
        sender=id.sender,
        sequence_number=id.sequence_number,
        policy_version=policy_version,
        observation=observation_to_message(observation, source),
        value=to_float32(value),
    )


def bootstrap_from_message(message: msg.Bootstrap) -> tuple[types.ModelObservation, float]:
    """The observation and its value.

    Raises:
        ValueError: where a field does not fit the others or is not finite.
    """
    _check_format(message)
    return observation_from_message(message.observation), finite(message.value, "value")


# What the robot did.


def execution_to_message(execution: ExecutionResult, *, sender: str = types.DEFAULT_SENDER) -> msg.ExecutionResult:
    """What the robot did, as its message.

    Args:
        execution: what it did.
        sender: which robot of the run.
    """
    return msg.ExecutionResult(
        header=header_of(execution.stamp),
        run_id=execution.run_id,
        sender=sender,
        end=time_from_ns(execution.end),
        status=int(execution.status),
        num_steps=execution.num_steps,
        num_clamped_steps=execution.num_clamped_steps,
        max_clamp=to_float32(execution.max_clamp),
        effort=to_optional(execution.effort),
        start_error=to_optional(execution.start_error),
        duration=math.nan if execution.duration is None else execution.duration,
        human=execution.human_driven,
        action_dim=execution.commanded.shape[1],
        commanded=to_array(execution.commanded, "float32"),
        causes=to_array(execution.causes, "uint8"),
        message=execution.message,
    )


def execution_from_message(message: msg.ExecutionResult) -> ExecutionResult:
    """What the robot did.

    Raises:
        ValueError: where a field does not fit the others or is not finite.
    """
    _check_format(message)
    if message.status not in list(Status):
        raise ValueError(f"status must be within 0..{max(Status).value}, got {message.status}")
    num_commands, action_dim = len(message.causes), message.action_dim
    execution = ExecutionResult(
        status=Status(message.status),
        num_steps=message.num_steps,
        stamp=time_to_ns(message.header.stamp),
        end=time_to_ns(message.end),
        message=message.message,
        human_driven=message.human,
        max_clamp=finite(message.max_clamp, "max_clamp"),
        effort=from_optional(message.effort, "effort"),
        start_error=from_optional(message.start_error, "start_error"),
        duration=from_optional(message.duration, "duration"),
        run_id=message.run_id,
        commanded=from_array(message.commanded, "float32", (num_commands, action_dim), "commanded"),
        causes=from_array(message.causes, "uint8", (num_commands,), "causes"),
    )
    unknown = int(np.bitwise_or.reduce(execution.causes)) & ~sum(Cause)
    if unknown:
        raise ValueError(f"causes must be bits of {sum(Cause)}, got {unknown} as well")
    if message.num_clamped_steps != execution.num_clamped_steps:
        raise ValueError(
            f"num_clamped_steps must be that of causes ({execution.num_clamped_steps}), got {message.num_clamped_steps}"
        )
    return execution


# Rewards and outcomes.


def terms_to_messages(terms: tuple[types.RewardTerm, ...]) -> list[msg.RewardTerm]:
    """Reward terms as messages."""
    return [
        msg.RewardTerm(name=term.name, value=to_float32(term.value), weight=to_float32(term.weight)) for term in terms
    ]


def terms_from_messages(messages: list[msg.RewardTerm]) -> tuple[types.RewardTerm, ...]:
    """Reward terms of messages.

    Raises:
        ValueError: where a term has no name, or its value or weight is not finite.
    """
    if not all(message.name for message in messages):
        raise ValueError("terms must have names, got an empty one")
    return tuple(
        types.RewardTerm(
            message.name,
            finite(message.value, f"value of term '{message.name}'"),
            finite(message.weight, f"weight of term '{message.name}'"),
        )
        for message in messages
    )


def outcome_to_message(
    id: types.ChunkId, outcome: types.ChunkOutcome, *, valid: bool = True, reason: str = ""
) -> msg.ChunkOutcome:
    """How a chunk ended, as its message; its stamp is that of the execution.

    Args:
        id: the chunk.
        outcome: how it ended.
        valid: whether it can be trained on.
        reason: why not.
    """
    return msg.ChunkOutcome(
        header=header_of(outcome.execution.stamp),
        run_id=id.run_id,
        sender=id.sender,
        sequence_number=id.sequence_number,
        episode=id.episode,
        chunk=id.chunk,
        execution=execution_to_message(outcome.execution, sender=id.sender),
        reward=to_float32(outcome.reward),
        terms=terms_to_messages(outcome.reward_terms),
        terminated=outcome.terminated,
        truncated=outcome.truncated,
        intervened=outcome.cut_by_takeover,
        success=outcome.success,
        valid=valid,
        message=reason,
    )


def outcome_from_message(message: msg.ChunkOutcome) -> types.ChunkOutcome:
    """The outcome of a message.

    Raises:
        ValueError: where a field does not fit the others or a number is not finite.
    """
    _check_format(message)
    outcome = types.ChunkOutcome(
        reward=finite(message.reward, "reward"),
        reward_terms=terms_from_messages(message.terms),
        execution=execution_from_message(message.execution),
        terminated=message.terminated,
        truncated=message.truncated,
        success=message.success,
    )
    if message.intervened != outcome.cut_by_takeover:
        raise ValueError(
            f"intervened must say whether a takeover cut the chunk, got {message.intervened} for the status "
            f"{outcome.execution.status.name} after {outcome.num_steps} steps"
        )
    return outcome


# Transitions.


def transition_to_message(transition: types.Transition) -> msg.Transition:
    """A transition as its message; the stamp of its chunk is that of its execution."""
    stamp = transition.outcome.execution.stamp
    message = msg.Transition(
        chunk=chunk_to_message(transition.id, transition.chunk, stamp=stamp),
        outcome=outcome_to_message(transition.id, transition.outcome),
        next_value=to_float32(transition.next_value),
        discount=to_float32(transition.discount),
    )
    if transition.next_observation is not None:
        message.next_observation = [observation_to_message(transition.next_observation, transition.next_source)]
    return message


def transition_from_message(message: msg.Transition) -> types.Transition:
    """The transition of a message.

    Raises:
        ValueError: where a field does not fit the others, is not finite or out of range; it names the field.
    """
    _check_format(message)
    id, chunk, outcome = (
        chunk_id(message.chunk),
        chunk_from_message(message.chunk),
        outcome_from_message(message.outcome),
    )
    if chunk_id(message.outcome) != id:
        raise ValueError(f"chunk and outcome must have one identity, got {id} and {chunk_id(message.outcome)}")
    asked = chunk.num_steps_asked
    if not 1 <= outcome.num_steps <= asked:
        raise ValueError(f"num_steps must be within 1..{asked} (num_steps_asked), got {outcome.num_steps}")
    if outcome.terminated and message.next_value != 0.0:
        raise ValueError(f"next_value must be 0 where terminated, got {message.next_value}")
    following = [
        (observation_from_message(item, "next_observation"), source_from_message(item))
        for item in message.next_observation
    ]
    next_observation, next_source = following[0] if following else (None, types.NO_SOURCE)
    return types.Transition(
        id=id,
        chunk=chunk,
        outcome=outcome,
        next_value=finite(message.next_value, "next_value"),
        next_observation=next_observation,
        discount=unit_interval(message.discount, "discount"),
        next_source=next_source,
    )


# Metrics.

CURVES = {
    "episode_reward": "episode/total_reward",
    "episode_success": "episode/success",
    "episode_num_chunks": "episode/num_chunks",
    "chunk_reward_mean": "reward/chunk_mean",
    "ratio_mean": "ratio/mean",
    "ratio_min": "ratio/min",
    "ratio_max": "ratio/max",
    "clip_fraction": "ratio/clip_fraction",
    "approx_kl": "kl/approx",
    "kl_after": "kl/after",
    "policy_loss": "loss/policy",
    "value_loss": "loss/value",
    "entropy_loss": "loss/entropy",
    "explained_variance": "value/explained_variance",
    "grad_norm_actor": "grad_norm/actor",
    "grad_norm_value": "grad_norm/value",
    "learning_rate_scale": "update/rate_scale",
    "log_prob_gap": "logp_gap/max_ratio",
    "rollout_time": "time/rollout",
    "update_time": "time/update",
}
"""The fields of TrainingMetrics beside its array, and the logged names of their numbers."""


def metrics_to_message(metrics: Metrics, counters: Counters, *, stamp: int) -> msg.TrainingMetrics:
    """The numbers of an update or an episode as their message.

    Args:
        metrics: the numbers by their logged names.
        counters: how far the run has come.
        stamp: ns of ROS time.
    """
    return msg.TrainingMetrics(
        stamp=time_from_ns(stamp),
        run_id=counters.run_id,
        policy_version=counters.policy_version,
        num_chunks=counters.num_chunks,
        metrics=[msg.Metric(name=name, value=float(value)) for name, value in metrics.items()],
        **{field: float(metrics.get(name, math.nan)) for field, name in CURVES.items()},
    )
