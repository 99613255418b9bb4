"""Tests that transitions with the same fields are equal, and that any other field makes a difference."""

from __future__ import annotations

import math

import pytest
from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message, serialize_message

from chunk_ppo_ros.nodes.replay.comparison import compare
from support.wire_transitions import make_transition, to_message


@pytest.fixture
def transition() -> msg.Transition:
    message = to_message(make_transition(image_size=32))
    message.outcome.execution.effort = math.nan  # as without motor currents; it is not equal to itself
    return message


def test_bytes_that_no_field_has_do_not_count(transition: msg.Transition) -> None:
    raw = serialize_message(transition)
    other = bytearray(raw)
    other[6:8] = b"\x12\x34"  # between the format, a uint16, and the stamp, an int32
    assert bytes(other) != raw and deserialize_message(bytes(other), msg.Transition).chunk == transition.chunk
    result = compare({7: lambda: raw}, {7: lambda: bytes(other)}, source="those of the recording")
    assert result.is_equal
    assert str(result) == "1 of 1 transitions are equal, byte for byte, to those of the recording"


def test_another_field_or_a_missing_transition_is_a_difference(transition: msg.Transition) -> None:
    raw = serialize_message(transition)
    changed = deserialize_message(raw, msg.Transition)
    changed.outcome.reward += 1e-6
    other = serialize_message(changed)
    result = compare({7: lambda: raw, 8: lambda: raw, 9: lambda: raw}, {7: lambda: other, 9: lambda: raw}, source="X")
    assert not result.is_equal
    assert str(result) == "1 of 3 transitions are equal, byte for byte, to X; others are 7, 8"
