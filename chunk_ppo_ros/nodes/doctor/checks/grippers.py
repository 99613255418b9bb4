"""Finds out by which linkage the driver of a follower computes the fingers from the gripper's motor."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.core.findings.finding import Finding, ok, skipped, warn
from chunk_ppo_ros.nodes.doctor.checks.looking import NOT_LOOKED
from chunk_ppo_ros.nodes.doctor.facts import Facts
from chunk_ppo_ros.nodes.doctor.graph_facts import JointFacts
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gripper_linkage import LINKAGES
from chunk_ppo_ros.robot.grippers import GripperConvention, convention_of

TOLERANCE = 2e-4
"""The largest difference between a reported finger and the one that a linkage gives, m."""
BEYOND = 0.15
"""How far an opening may be outside 0..1."""


def linkage(facts: Facts) -> Iterator[Finding]:
    """Says which known linkage fits the finger and the motor that a driver reports, and whether the settings say so."""
    heard = [] if facts.graph is None else [arm for arm in facts.graph.followers if arm.topic.arrivals]
    if not heard:
        yield skipped("linkage", NOT_LOOKED if facts.graph is None else "no joint states of a follower came")
    for arm in heard:
        yield _linkage(arm, convention_of(facts.config.robot))


def _linkage(arm: JointFacts, convention: GripperConvention) -> Finding:
    name, at = f"linkage of {arm.arm}", arm.by_name
    if aloha.GRIPPER not in at or aloha.LEFT_FINGER not in at:
        return skipped(name, f"its joint states lack {aloha.GRIPPER} or {aloha.LEFT_FINGER}")
    motor, finger = at[aloha.GRIPPER], at[aloha.LEFT_FINGER]
    known = {**LINKAGES, "the one of robot.gripper_numbers": convention.driver_linkage or convention.linkage}
    errors = {key: abs(each.finger_from_motor(motor) - finger) for key, each in known.items()}
    fitting = [key for key, difference in errors.items() if difference <= TOLERANCE]
    found = f"motor {motor:.3f} rad, finger {finger * 1e3:.2f} mm"
    configured = convention.driver_linkage or convention.linkage
    if abs(configured.finger_from_motor(motor) - finger) <= TOLERANCE:
        return ok(name, f"{found}: fits {', '.join(key for key in fitting if key in LINKAGES) or 'your numbers'}")
    if not fitting:
        nearest = min(errors, key=errors.__getitem__)
        far = f"{found}: fits none; {nearest} is nearest, by {errors[nearest] * 1e3:.2f} mm"
        return warn(name, far, "read r and l from motor_configs of the driver, and set driver_linkage=r/l")
    own = LINKAGES[fitting[0]]
    advice = (
        "the opening is read from the motor, which does not depend on it; for data that were recorded from fingers "
        f"set robot.gripper_numbers: [driver_linkage={own.horn_radius}/{own.arm_length}] (docs/units.md)"
    )
    return warn(name, f"{found}: fits {', '.join(fitting)}, and the settings say another linkage", advice)


def opening(facts: Facts) -> Iterator[Finding]:
    """Says how far each gripper is open by the settings, so that a person can compare it with the robot."""
    convention = convention_of(facts.config.robot)
    for arm in () if facts.graph is None else facts.graph.followers:
        motor = arm.by_name.get(aloha.GRIPPER)
        if motor is None:
            continue
        name, value = f"opening of {arm.arm}", convention.state_opening_from_motor(motor)
        if -BEYOND <= value <= 1.0 + BEYOND:
            yield ok(name, f"{value:.2f} (0 closed, 1 open)")
        else:
            advice = "compare robot.gripper_convention with the robot's constants (docs/units.md)"
            yield warn(name, f"{value:.2f}, where 0 is closed and 1 is open", advice)


CHECKS = (linkage, opening)
