"""Tests the quality of service of each profile, which publishers and subscribers outside this package rely on."""

from __future__ import annotations

import pytest
from rclpy.qos import DurabilityPolicy, HistoryPolicy, ReliabilityPolicy

from chunk_ppo_ros.nodes.wire import qos

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
VOLATILE, LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL


@pytest.mark.parametrize(
    ("name", "depth", "reliability", "durability"),
    [
        ("SENSOR", 1, BEST_EFFORT, VOLATILE),
        ("SENSOR_LOCKSTEP", 1, RELIABLE, VOLATILE),
        ("JOINT_STATES", 8, BEST_EFFORT, VOLATILE),
        ("JOINT_STATES_LOCKSTEP", 8, RELIABLE, VOLATILE),
        ("STREAM_PUBLISHER", 512, RELIABLE, VOLATILE),
        ("IMAGE_PUBLISHER", 2, RELIABLE, VOLATILE),
        ("IMAGE_RECORDING", 16, BEST_EFFORT, VOLATILE),
        ("LOG", 1000, RELIABLE, LATCHED),
        ("COMMAND", 8, RELIABLE, VOLATILE),
        ("RELIABLE", 64, RELIABLE, VOLATILE),
        ("TRANSITION", 16, RELIABLE, VOLATILE),
        ("TRANSITION_SUBSCRIPTION", 128, RELIABLE, VOLATILE),
        ("HISTORY", 64, RELIABLE, LATCHED),
        ("HANDLED", 2048, RELIABLE, LATCHED),
        ("ACKNOWLEDGMENT", 256, RELIABLE, VOLATILE),
        ("LATCHED", 1, RELIABLE, LATCHED),
        ("LATCHED_SUBSCRIPTION", 16, RELIABLE, LATCHED),
    ],
)
def test_a_profile_keeps_so_many_messages_and_delivers_them_so(
    name: str, depth: int, reliability: ReliabilityPolicy, durability: DurabilityPolicy
) -> None:
    profile = getattr(qos, name)
    assert (profile.history, profile.depth) == (HistoryPolicy.KEEP_LAST, depth)
    assert (profile.reliability, profile.durability) == (reliability, durability)
