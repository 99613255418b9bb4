"""The types of `types.py` to and from their messages.

Arrays keep every bit; scalar floats are float32 on the wire and are rounded to it on the way out, so that sender and
receiver hold the same numbers. Everything that comes in is checked: shapes, lengths, finiteness and ranges; an error
names the field.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from chunk_ppo_msgs import msg

from chunk_ppo_ros.core import types
from chunk_ppo_ros.nodes.wire.arrays import NANOSECONDS as NANOSECONDS
from chunk_ppo_ros.nodes.wire.arrays import (
    finite,
    from_array,
    from_bools,
    header_of,
    time_from_ns,
    time_to_ns,
    to_array,
    to_bools,
    to_float32,
    unit_interval,
)


@dataclasses.dataclass(frozen=True)
class ObservationSource:
    """What the message of an observation holds beside the observation itself.

    Attributes:
        stamp: ROS time of its oldest sensor reading, ns.
        prompt: the task in words, as given.
    """

    stamp: int
    prompt: str


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


def chunk_id(message: Any) -> types.ChunkId:
    """The identity in an ActionChunk, ChunkOutcome or Transition message."""
    return types.ChunkId(message.run_id, message.sequence_number, message.episode, message.chunk)


def _identity(id: types.ChunkId) -> dict[str, Any]:
    return dataclasses.asdict(id)


def chunk_to_message(
    id: types.ChunkId, chunk: types.SampledChunk, source: ObservationSource, *, stamp: int
) -> msg.ActionChunk:
    """A sampled chunk as its message.

    Args:
        id: where it stands in the run.
        chunk: the chunk.
        source: stamp and prompt of its observation.
        stamp: the stamp that it shares with its trajectories, ns of ROS time.
    """
    horizon, action_dim = chunk.actions.shape
    return msg.ActionChunk(
        header=header_of(stamp),
        horizon=horizon,
        action_dim=action_dim,
        actions=to_array(chunk.actions, "float32"),
        **_identity(id),
        **_sample_fields(chunk, source),
    )


def _sample_fields(chunk: types.SampledChunk, source: ObservationSource) -> dict[str, Any]:
    """The fields that ActionChunk and Transition have in common."""
    return {
        "policy_version": chunk.policy_version,
        "observation": observation_to_message(chunk.observation, source),
        "action_tokens": to_array(chunk.action_tokens, "int32"),
        "token_mask": to_bools(chunk.token_mask),
        "token_log_probs": to_array(chunk.token_log_probs, "float32"),
        "temperature": to_float32(chunk.temperature),
        "value": to_float32(chunk.value),
        "num_steps_asked": chunk.num_steps_asked,
        "entropy": to_float32(chunk.entropy),
        "valid": chunk.valid,
        "human": chunk.human,
    }


def chunk_from_message(message: msg.ActionChunk) -> types.SampledChunk:
    """The chunk of a message.

    Raises:
        ValueError: where a field does not fit the others, is not finite or out of range.
    """
    return _sample(message, (message.horizon, message.action_dim))


def _sample(message: Any, action_shape: tuple[int, int]) -> types.SampledChunk:
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
        actions=from_array(message.actions, "float32", action_shape, "actions"),
        policy_version=message.policy_version,
        temperature=temperature,
        num_steps_asked=message.num_steps_asked,
        entropy=finite(message.entropy, "entropy"),
        valid=message.valid,
        human=message.human,
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
    return observation_from_message(message.observation), finite(message.value, "value")


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
    id: types.ChunkId, outcome: types.ChunkOutcome, *, stamp: int, end: int, valid: bool = True, reason: str = ""
) -> msg.ChunkOutcome:
    """How a chunk ended, as its message.

    Args:
        id: the chunk.
        outcome: how it ended.
        stamp: stamp of the chunk, ns of ROS time.
        end: when its execution ended, ns of ROS time.
        valid: whether it can be trained on.
        reason: why not.
    """
    return msg.ChunkOutcome(
        header=header_of(stamp),
        end=time_from_ns(end),
        valid=valid,
        message=reason,
        **_identity(id),
        **_outcome_fields(outcome),
    )


def _outcome_fields(outcome: types.ChunkOutcome) -> dict[str, Any]:
    """The fields that ChunkOutcome and Transition have in common."""
    return {
        "reward": to_float32(outcome.reward),
        "terms": terms_to_messages(outcome.reward_terms),
        "num_steps": outcome.num_steps,
        "terminated": outcome.terminated,
        "truncated": outcome.truncated,
        "intervened": outcome.intervened,
        "success": outcome.success,
        "num_clamped_steps": outcome.num_clamped_steps,
        "fault": outcome.fault,
    }


def outcome_from_message(message: msg.ChunkOutcome | msg.Transition) -> types.ChunkOutcome:
    """The outcome in a ChunkOutcome or Transition message.

    Raises:
        ValueError: where a number is not finite, or more steps were clamped than executed.
    """
    if message.num_clamped_steps > message.num_steps:
        raise ValueError(
            f"num_clamped_steps must be at most num_steps ({message.num_steps}), got {message.num_clamped_steps}"
        )
    return types.ChunkOutcome(
        reward=finite(message.reward, "reward"),
        reward_terms=terms_from_messages(message.terms),
        num_steps=message.num_steps,
        terminated=message.terminated,
        truncated=message.truncated,
        intervened=message.intervened,
        success=message.success,
        num_clamped_steps=message.num_clamped_steps,
        fault=message.fault,
    )


# Transitions.


def transition_to_message(
    transition: types.Transition,
    source: ObservationSource,
    *,
    stamp: int,
    next_source: ObservationSource | None = None,
) -> msg.Transition:
    """A transition as its message.

    Args:
        transition: the transition.
        source: stamp and prompt of its observation.
        stamp: stamp of the chunk, ns of ROS time.
        next_source: stamp and prompt of the next observation, where there is one.

    Raises:
        ValueError: where only one of next observation and next source is given.
    """
    if (transition.next_observation is None) != (next_source is None):
        raise ValueError("next_source must be given exactly where the transition has a next observation")
    horizon, action_dim = transition.chunk.actions.shape
    message = msg.Transition(
        header=header_of(stamp),
        horizon=horizon,
        action_dim=action_dim,
        actions=to_array(transition.chunk.actions, "float32"),
        next_value=to_float32(transition.next_value),
        discount=to_float32(transition.discount),
        **_identity(transition.id),
        **_sample_fields(transition.chunk, source),
        **_outcome_fields(transition.outcome),
    )
    if transition.next_observation is not None and next_source is not None:
        message.next_observation = [observation_to_message(transition.next_observation, next_source)]
    return message


def transition_from_message(message: msg.Transition) -> types.Transition:
    """The transition of a message.

    Raises:
        ValueError: where a field does not fit the others, is not finite or out of range; it names the field.
    """
    outcome, chunk = outcome_from_message(message), _sample(message, (message.horizon, message.action_dim))
    asked = chunk.num_steps_asked
    if not 1 <= outcome.num_steps <= asked:
        raise ValueError(f"num_steps must be within 1..{asked} (num_steps_asked), got {outcome.num_steps}")
    if outcome.terminated and message.next_value != 0.0:
        raise ValueError(f"next_value must be 0 where terminated, got {message.next_value}")
    after = [observation_from_message(item, "next_observation") for item in message.next_observation]
    return types.Transition(
        id=chunk_id(message),
        chunk=chunk,
        outcome=outcome,
        next_value=finite(message.next_value, "next_value"),
        next_observation=after[0] if after else None,
        discount=unit_interval(message.discount, "discount"),
    )
