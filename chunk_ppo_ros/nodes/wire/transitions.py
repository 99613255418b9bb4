"""Converts transitions to and from their messages."""

from __future__ import annotations

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core import types
from chunk_ppo_ros.nodes.wire.arrays import finite, to_float32, unit_interval
from chunk_ppo_ros.nodes.wire.chunks import chunk_from_message, chunk_id, chunk_to_message
from chunk_ppo_ros.nodes.wire.format_check import check_format
from chunk_ppo_ros.nodes.wire.observations import observation_from_message, observation_to_message, source_from_message
from chunk_ppo_ros.nodes.wire.outcomes import outcome_from_message, outcome_to_message


def transition_to_message(transition: types.Transition) -> msg.Transition:
    """Returns the message of a transition. The stamp of its chunk is that of its execution."""
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
    """Returns the transition of a message.

    Raises:
        ValueError: when a field does not fit the others, is not finite or is out of range. The text names the field.
    """
    check_format(message)
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
