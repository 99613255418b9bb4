"""Checks the joint states of the arms: whether they come, how fast, with which joints, and within which ranges."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, skipped, warn
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.nodes.doctor.checks.looking import NOT_LOOKED, in_words
from chunk_ppo_ros.nodes.doctor.facts import Facts
from chunk_ppo_ros.nodes.doctor.graph_facts import JointFacts, TopicFacts
from chunk_ppo_ros.robot import aloha, grippers

FAILED_READ = -np.pi
"""The position that Interbotix's driver tells of every joint where it could not read the motors, rad."""
BEYOND = 0.35
"""How far a joint may be outside its range, as in the sleep pose, rad."""
TOLERANCE = 1e-3
"""The distance, rad, within which a position is taken for -pi or 0."""


def presence(facts: Facts) -> Iterator[Finding]:
    """Says which arms send joint states."""
    if facts.graph is None:
        yield skipped("topics", NOT_LOOKED)
        return
    for arm in facts.graph.followers:
        advice = "start the driver of the arm, in this ROS domain and within its discovery range"
        if arm.topic.arrivals:
            yield ok(arm.topic.name, _arrivals(arm.topic))
        elif arm.topic.publishers and facts.config.env.is_lockstep:
            yield skipped(arm.topic.name, "silent; in lockstep a simulator sends them only in answer to commands")
        elif arm.topic.publishers:
            found = f"{in_words(arm.topic.publishers)} publishes on it, and nothing comes"
            yield error(arm.topic.name, found, "check that the driver reads its motors: cables, power, its log")
        else:
            yield error(arm.topic.name, "nobody publishes on it", advice)
    for arm in facts.graph.leaders:
        if arm.topic.arrivals:
            yield ok(arm.topic.name, _arrivals(arm.topic))
        else:
            yield skipped(arm.topic.name, "silent; only a takeover by a human needs the leaders")


def rate(facts: Facts) -> Iterator[Finding]:
    """Compares the measured rates with the control rate, and the gaps with what stops the robot."""
    robot = facts.config.robot
    for arm in _heard(facts):
        topic, name = arm.topic, f"rate of {arm.topic.name}"
        found = f"{topic.rate:.1f} Hz, longest gap {topic.longest_gap * 1e3:.0f} ms"
        if facts.config.env.is_lockstep:
            yield skipped(name, "a simulator in lockstep has no rate of its own")
        elif topic.rate == 0.0 or topic.longest_gap > robot.state_timeout:
            advice = "look at the load of this machine, the bus and the USB adapter (latency_timer should be 1 ms)"
            yield error(name, f"{found}, where robot.state_timeout is {robot.state_timeout:g} s", advice)
        elif topic.rate < robot.control_rate:
            advice = "chunks are played with older readings; set latency_timer of the USB adapter to 1 ms"
            yield warn(name, f"{found}, where robot.control_rate is {robot.control_rate:g} Hz", advice)
        else:
            yield ok(name, found)


def names(facts: Facts) -> Iterator[Finding]:
    """Says whether the joints have the names that are needed."""
    convention = grippers.convention_of(facts.config.robot)
    for arm in _heard(facts):
        name = f"joints of {arm.topic.name}"
        try:
            aloha.side_state(arm.names, arm.positions, convention)
        except ValueError as failure:
            found, _, advice = str(failure).rpartition("; ")
            yield error(name, found, advice)
        else:
            yield ok(name, ", ".join(arm.names))


def ranges(facts: Facts) -> Iterator[Finding]:
    """Says whether the newest positions can be, and whether they are within the joint limits."""
    for arm in _heard(facts):
        angles = [arm.by_name.get(joint, np.nan) for joint in aloha.ARM_JOINTS]
        if np.all(np.isfinite(angles)):
            yield _range(f"position of {arm.arm}", np.array(angles))


def _range(name: str, angles: np.ndarray) -> Finding:
    count = len(aloha.ARM_JOINTS)
    below, above = aloha.LOWER_LIMITS[:count] - angles, angles - aloha.UPPER_LIMITS[:count]
    beyond = np.maximum(below, above)
    listed = ", ".join(f"{angle:.2f}" for angle in angles)
    if np.all(np.abs(angles - FAILED_READ) < TOLERANCE):
        advice = "check cables, power and the motors' ids; robot_node does not use such joint states"
        return error(name, "all joints are at -pi, which the driver says after a failed read", advice)
    if np.all(angles == 0.0):
        return warn(name, "all joints are exactly 0", "look whether the arm stands there; robot_node waits for it")
    outside = [
        f"{joint} {angle:.2f}" for joint, angle, far in zip(aloha.ARM_JOINTS, angles, beyond, strict=True) if far > 0
    ]
    if np.max(beyond) > BEYOND:
        return error(name, f"beyond its range: {', '.join(outside)} rad", "check the motors' homing offsets and ids")
    if outside:
        advice = "this is so in the sleep pose; the arm moves monotonically into its range when it starts"
        return warn(name, f"outside the joint limits: {', '.join(outside)} rad", advice)
    return ok(name, f"{listed} rad, within the joint limits")


def _arrivals(topic: TopicFacts) -> str:
    """Returns how many messages came, and of which nodes."""
    return f"{count_of(len(topic.arrivals), 'message')} of {in_words(topic.publishers)}"


def _heard(facts: Facts) -> list[JointFacts]:
    """Returns the followers that send joint states."""
    return [] if facts.graph is None else [arm for arm in facts.graph.followers if arm.topic.arrivals]


CHECKS = (presence, rate, names, ranges)
