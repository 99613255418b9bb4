"""Converts reward terms, and outcomes of chunks, to and from their messages."""

from __future__ import annotations

import dataclasses

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core import types
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.nodes.wire.arrays import finite, header_of, to_float32
from chunk_ppo_ros.nodes.wire.executions import execution_from_message, execution_to_message
from chunk_ppo_ros.nodes.wire.format_check import check_format


def terms_to_messages(terms: tuple[types.RewardTerm, ...]) -> list[msg.RewardTerm]:
    """Returns the messages of reward terms."""
    return [
        msg.RewardTerm(name=term.name, value=to_float32(term.value), weight=to_float32(term.weight)) for term in terms
    ]


def terms_from_messages(messages: list[msg.RewardTerm]) -> tuple[types.RewardTerm, ...]:
    """Returns the reward terms of messages.

    Raises:
        ValueError: when a term has no name, or its value or weight is not finite.
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
    """Returns the message of a chunk's outcome. Its stamp is that of the execution.

    The execution gets run and sender of the chunk where it says none, for example because the chunk was refused.

    Args:
        id: the identity of the chunk.
        outcome: how the chunk ended.
        valid: whether the chunk can be trained on.
        reason: why it cannot be trained on, or empty.
    """
    run_id, sender = outcome.execution.run_id or id.run_id, outcome.execution.sender or id.sender
    return msg.ChunkOutcome(
        header=header_of(outcome.execution.stamp),
        run_id=id.run_id,
        sender=id.sender,
        sequence_number=id.sequence_number,
        episode=id.episode,
        chunk=id.chunk,
        execution=execution_to_message(dataclasses.replace(outcome.execution, run_id=run_id, sender=sender)),
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
    """Returns the outcome of a message.

    Raises:
        ValueError: when a field does not fit the others or a number is not finite.
    """
    check_format(message)
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
            f"{outcome.execution.status.name} after {count_of(outcome.num_steps, 'step')}"
        )
    return outcome
