"""Checks the update rate of ros2_control's controller managers, which is 10 Hz in Interbotix's own files."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, skipped, warn
from chunk_ppo_ros.nodes.doctor.checks.looking import NOT_LOOKED
from chunk_ppo_ros.nodes.doctor.facts import Facts

ROS2_CONTROL = "ros2_control"


def update_rate(facts: Facts) -> Iterator[Finding]:
    """Compares the update rate of each arm's controller manager with the control rate."""
    name, config = "controller manager", facts.config
    if facts.graph is None:
        yield skipped(name, NOT_LOOKED)
        return
    if config.robot.backend != ROS2_CONTROL:
        yield skipped(name, f"robot.backend is {config.robot.backend}")
        return
    if not config.env.is_real:
        yield skipped(name, "the simulator takes the commands by itself")
        return
    for manager in facts.graph.managers:
        place = f"{name} of {manager.arm}"
        found = f"update_rate {manager.update_rate} Hz, where robot.control_rate is {config.robot.control_rate:g} Hz"
        advice = "set update_rate of the manager, and loop_hz of the driver, to the control rate or more"
        if manager.problem:
            yield warn(place, manager.problem, "start the controllers of the arm, if ros2_control drives it")
        elif manager.update_rate < config.robot.control_rate:
            yield error(place, f"{found}: most commands are never used", advice)
        else:
            yield ok(place, found)


CHECKS = (update_rate,)
