"""Quality-of-service profiles, named by intent."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(
    depth: int,
    *,
    reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


SENSOR = _profile(1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Reads a sensor of which only the newest reading counts; matches reliable and best-effort publishers."""

SENSOR_LOCKSTEP = _profile(1)
"""Reads a sensor of which only the newest reading counts, in lockstep, where a lost one is not followed by another."""

JOINT_STATES = _profile(8, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Publishes and reads joint states: a few are kept so that two arms can be matched by stamp."""

JOINT_STATES_LOCKSTEP = _profile(8)
"""Publishes joint states in lockstep, where a lost one would stop simulated time."""

IMAGE_PUBLISHER = _profile(2)
"""Publishes images; reliable because recorders and other tools of a lab subscribe so."""

COMMAND = _profile(8)
"""Joint trajectories: never lost, and old ones are worthless."""

RELIABLE = _profile(64)
"""Chunks, results, rewards, outcomes and metrics, which come one by one."""

TRANSITION = _profile(8)
"""Transitions of about 450 kB; whoever sends them repeats until they are acknowledged, so a short history is enough."""

ACKNOWLEDGEMENT = _profile(256)
"""Acknowledgements of a whole rollout and its repetitions."""

LATCHED = _profile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Publishes a state: the last value stands until the next one, and late subscribers get it."""

LATCHED_SUBSCRIPTION = _profile(16, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Reads a state; deeper than its publisher, so that changes in quick succession are all seen."""
