"""The types of `core/` to and from their messages: one name for all, each kind of message in a module of its own.

Arrays keep every bit; scalar floats are float32 on the wire and are rounded to it on the way out, so that sender and
receiver hold the same numbers. Everything that comes in is checked: shapes, lengths, finiteness and ranges; an error
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
