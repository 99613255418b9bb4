"""Says which limits of a real robot are switched off. The default settings are those of a simulator, without them."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.config import EnvConfig, RobotConfig
from chunk_ppo_ros.config.entries.workspace_box import NO_TABLE
from chunk_ppo_ros.config.flags.example_file import example_file
from chunk_ppo_ros.core.findings.finding import Finding, ok, skipped, warn
from chunk_ppo_ros.nodes.doctor.checks.looking import NOT_LOOKED
from chunk_ppo_ros.nodes.doctor.facts import Facts

NAME = "limits that are off"
LIMITS = ("max_acceleration", "max_following_error")
"""Limits that 0 switches off, whatever the back end."""
MOTOR_LIMITS = ("max_current", "max_gripper_current", "warn_temperature", "max_temperature", "profile_velocity")
"""Limits that 0 switches off, of what only Interbotix's driver tells and takes."""
LEADER_LIMITS = ("leader_max_current",)
"""Limits that 0 switches off where leaders are driven."""


def switched_off(facts: Facts) -> Iterator[Finding]:
    """Names the limits that are off where the robot is a real one."""
    config = facts.config
    if facts.graph is None:
        yield skipped(NAME, NOT_LOOKED)
    elif not config.env.is_real:
        yield skipped(NAME, f"env.simulator is {config.env.simulator}")
    elif off := [*_zeros(config.robot), *_others(config.robot, config.env)]:
        advice = f"take their values from {example_file()}; docs/robot-limits.md says what each of them guards against"
        yield warn(NAME, ", ".join(off), advice)
    else:
        yield ok(NAME, "none")


def _zeros(robot: RobotConfig) -> list[str]:
    names = [*LIMITS, *(MOTOR_LIMITS if robot.backend == "interbotix" else ())]
    names += LEADER_LIMITS if robot.align_leaders else ()
    return [f"robot.{name} 0" for name in names if not getattr(robot, name)]


def _others(robot: RobotConfig, env: EnvConfig) -> list[str]:
    """Returns the limits that another value than 0 switches off. A mirror's cameras need not be guarded."""
    is_off = {
        f"robot.table_height {NO_TABLE:g}": robot.table_height <= NO_TABLE,
        "robot.workspace_box empty": not robot.workspace_box,
        "robot.confirm_start false": not robot.confirm_start,
        "robot.hold_on_camera_fault false": not (robot.hold_on_camera_fault or env.is_mirrored),
    }
    return [text for text, holds in is_off.items() if holds]


CHECKS = (switched_off,)
