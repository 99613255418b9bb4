"""Reads serialized transitions, of which it is not known who made them."""

from __future__ import annotations

import struct

from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.nodes.wire.message_head import HeadReader


def read_transition(raw: bytes) -> msg.Transition:
    """Returns the message of a serialized transition.

    Raises:
        ValueError: when the bytes are no such message.
    """
    try:
        return deserialize_message(raw, msg.Transition)
    except (RuntimeError, ValueError, MemoryError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"a transition must be a serialized Transition, got {len(raw)} bytes: {reason}") from error


def read_id(raw: bytes) -> ChunkId | None:
    """Returns the identity at the beginning of a serialized transition, or None where there is none.

    The rest of the bytes may be missing or damaged. The fields before it are the format of the transition, and header
    and format of its chunk.
    """
    try:
        return _chunk_id(HeadReader(raw))
    except (struct.error, UnicodeDecodeError, IndexError):
        return None


def head_of(raw: bytes) -> msg.ActionChunk:
    """Returns a chunk that has the identity at the beginning of a serialized transition, and nothing else."""
    id = read_id(raw)
    if id is None:
        return msg.ActionChunk()
    return msg.ActionChunk(
        run_id=id.run_id, sender=id.sender, sequence_number=id.sequence_number, episode=id.episode, chunk=id.chunk
    )


def trained_content(message: msg.Transition) -> tuple[object, ...]:
    """Returns what training reads of a transition, for a comparison of two messages of the same number.

    Two serializations of one message may differ in bytes that no field has, so that these are not compared.
    """
    chunk, outcome, seen = message.chunk, message.outcome, message.chunk.observation
    arrays = (
        *(chunk.action_tokens, chunk.token_log_probs, chunk.actions),
        *(seen.images, seen.state, seen.prompt_tokens),
    )
    return (
        *(chunk.header.stamp.sec, chunk.header.stamp.nanosec, chunk.episode, chunk.chunk, chunk.policy_version),
        *(chunk.value, chunk.temperature, chunk.valid, chunk.human, chunk.num_steps_asked, list(chunk.token_mask)),
        *(outcome.reward, outcome.terminated, outcome.truncated, outcome.intervened, outcome.execution.num_steps),
        *(message.next_value, message.discount, *(bytes(array) for array in arrays)),
    )


def _chunk_id(reader: HeadReader) -> ChunkId:
    reader.number("H")  # the format
    reader.number("i")
    reader.number("I")
    reader.text()  # the frame of the header
    reader.number("H")
    run_id, sender = reader.text(), reader.text()
    sequence_number, episode, chunk = reader.number("Q"), reader.number("I"), reader.number("I")
    return ChunkId(run_id, sequence_number, episode, chunk, sender)
