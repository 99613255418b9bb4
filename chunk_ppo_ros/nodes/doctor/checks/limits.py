"""Says which limits of a real robot are switched off. The default settings are those of a simulator, without them."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.config.entries.workspace_box import NO_TABLE
from chunk_ppo_ros.core.findings.finding import Finding, ok, skipped, warn
from chunk_ppo_ros.nodes.doctor.checks.looking import NOT_LOOKED
from chunk_ppo_ros.nodes.doctor.facts import Facts

NAME = "limits that are off"
LIMITS = ("max_acceleration", "max_following_error")
"""Limits that 0 switches off, whatever the back end."""
MOTOR_LIMITS = ("max_current", "max_gripper_current", "max_temperature")
"""Limits that 0 switches off, of values that only Interbotix's driver tells."""


def switched_off(facts: Facts) -> Iterator[Finding]:
    """Names the limits that are off where the robot is a real one."""
    robot = facts.config.robot
    if facts.graph is None:
        yield skipped(NAME, NOT_LOOKED)
    elif facts.config.env.simulator != "none":
        yield skipped(NAME, f"env.simulator is {facts.config.env.simulator}")
    elif off := _off(robot):
        advice = "take their values from config/robot.yaml; docs/robot-limits.md says what each of them guards against"
        yield warn(NAME, ", ".join(off), advice)
    else:
        yield ok(NAME, "none")


def _off(robot: RobotConfig) -> list[str]:
    names = [*LIMITS, *(MOTOR_LIMITS if robot.backend == "interbotix" else ())]
    off = [f"robot.{name} 0" for name in names if not getattr(robot, name)]
    return [*off, f"robot.table_height {NO_TABLE:g}"] if robot.table_height <= NO_TABLE else off


CHECKS = (switched_off,)
