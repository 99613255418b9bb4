"""Converts chunks, and the values after a segment, to and from their messages."""

from __future__ import annotations

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core import types
from chunk_ppo_ros.core.types import ObservationSource
from chunk_ppo_ros.nodes.wire.arrays import finite, from_array, from_bools, header_of, to_array, to_bools, to_float32
from chunk_ppo_ros.nodes.wire.format_check import check_format
from chunk_ppo_ros.nodes.wire.observations import observation_from_message, observation_to_message, source_from_message


def chunk_id(message: msg.ActionChunk | msg.ChunkOutcome) -> types.ChunkId:
    """Returns the identity of the chunk in an ActionChunk or ChunkOutcome message."""
    return types.ChunkId(message.run_id, message.sequence_number, message.episode, message.chunk, message.sender)


def chunk_to_message(id: types.ChunkId, chunk: types.SampledChunk, *, stamp: int) -> msg.ActionChunk:
    """Returns the message of a sampled chunk.

    Args:
        id: the identity of the chunk.
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
    """Returns the chunk of a message.

    Raises:
        ValueError: when a field does not fit the others, is not finite or is out of range.
    """
    check_format(message)
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
    """Returns the message of the observation after the last chunk of a segment, and of its value.

    Args:
        id: the identity of the last chunk.
        observation: the observation after it.
        source: the stamp and prompt of that observation.
        stamp: the stamp of the chunk, ns of ROS time.
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
    """Returns the observation after a segment and its value, in units of reward.

    Raises:
        ValueError: when a field does not fit the others or is not finite.
    """
    check_format(message)
    return observation_from_message(message.observation), finite(message.value, "value")
