"""Serializes a message as it goes over the wire, for recordings that tests write."""

from __future__ import annotations

from rclpy.serialization import serialize_message
from rosbags.typesys.store import Typestore


def recorded_bytes(message: object, type_name: str, types: Typestore) -> bytes:
    """Returns a message as recorder_node gets it. rclpy's own buffer is longer, so the message is written once more."""
    definition = types.get_msgdef(type_name)
    again, _ = definition.deserialize_cdr_le(serialize_message(message)[4:], 0, definition.cls, types)
    return bytes(types.serialize_cdr(again, type_name))
