"""Collects the functions that convert the types of `core/` to and from messages. Each kind has its own module.

Arrays keep every bit. Scalar floats are float32 in messages and are rounded before they are sent, so that sender and
receiver hold the same numbers. The shapes, lengths, finiteness and ranges of received fields are checked, and an error
names the field.
"""

from __future__ import annotations

from chunk_ppo_ros.nodes.wire.chunks import (
    bootstrap_from_message,
    bootstrap_to_message,
    chunk_from_message,
    chunk_id,
    chunk_to_message,
)
from chunk_ppo_ros.nodes.wire.executions import execution_from_message, execution_to_message
from chunk_ppo_ros.nodes.wire.observations import observation_from_message, observation_to_message, source_from_message
from chunk_ppo_ros.nodes.wire.outcomes import (
    outcome_from_message,
    outcome_to_message,
    terms_from_messages,
    terms_to_messages,
)
from chunk_ppo_ros.nodes.wire.training_metrics import CURVES, metrics_to_message
from chunk_ppo_ros.nodes.wire.transitions import transition_from_message, transition_to_message

__all__ = [
    "CURVES",
    "bootstrap_from_message",
    "bootstrap_to_message",
    "chunk_from_message",
    "chunk_id",
    "chunk_to_message",
    "execution_from_message",
    "execution_to_message",
    "metrics_to_message",
    "observation_from_message",
    "observation_to_message",
    "outcome_from_message",
    "outcome_to_message",
    "source_from_message",
    "terms_from_messages",
    "terms_to_messages",
    "transition_from_message",
    "transition_to_message",
]
