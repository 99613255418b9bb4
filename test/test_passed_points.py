"""Tests how many targets of a chunk count as passed, on paths that are drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.commands import Room
from chunk_ppo_ros.robot.gate.gate import Gate
from chunk_ppo_ros.robot.gate.passed_points import PASS_TOLERANCE, num_passed

HOME = np.array(aloha.START_POSE)


def path(*waists: float, elbow: tuple[float, ...] = ()) -> np.ndarray:
    poses = np.tile(HOME, (len(waists), 1))
    poses[:, 0] = waists
    poses[:, 2] += np.array(elbow or [0.0] * len(waists))
    return poses


@pytest.mark.parametrize(
    ("targets", "commanded", "count"),
    [
        (path(0.1, 0.2, 0.3), path(0.1, 0.2, 0.3), 3),
        (path(0.1, 0.2, 0.3), path(0.05, 0.15, 0.25, 0.3), 3),  # it comes later
        (path(0.1, 0.2, 0.3), path(0.05, 0.15), 1),  # it was stopped
        (path(0.1, 0.4, 0.1), path(0.05, 0.15, 0.1), 2),  # it turns before the peak
        (path(0.1, 0.1 + 1.9 * PASS_TOLERANCE, 0.1), path(0.1, 0.1 + PASS_TOLERANCE, 0.1), 3),
        (path(0.3, 0.05), path(0.1, 0.2), 0),  # across the second before it was asked, and never back
        (path(0.2, 0.1, 0.2), path(0.2, 0.2, 0.2), 2),
        (path(0.1, 0.2, elbow=(0.1, 0.2)), path(0.1, 0.2, elbow=(0.0, 0.05)), 0),  # each joint must pass it
        (path(9.0), path(aloha.UPPER_LIMITS[0]), 1),
        (path(0.1), np.zeros((0, 14)), 0),
    ],
)
def test_targets_that_the_commands_reach_or_cross_in_order_are_passed(
    targets: np.ndarray, commanded: np.ndarray, count: int
) -> None:
    assert num_passed(targets, commanded, HOME) == count


def test_a_gripper_need_not_pass_its_target() -> None:
    targets = path(0.1)
    targets[0, 6] = 0.9
    assert num_passed(targets, path(0.1), HOME) == 1


def drive(targets: np.ndarray, **limits: float) -> tuple[Status, int, str, int]:
    """Sends a chunk through a gate, and returns how it ends, how many targets count, and how many commands it took."""
    gate = Gate(RobotConfig(max_velocity=1.5, **limits))
    gate.anchor(HOME)
    commanded: list[np.ndarray] = []
    while (ending := gate.ending(targets, commanded)) is None:
        left = targets[min(len(commanded), len(targets) - 1) :]
        commanded.append(gate.send(left[0], now=None, room=Room.of(left)).target)
    return ending.status, gate.num_passed(targets, commanded), ending.message, len(commanded)


def test_a_chunk_that_cuts_a_corner_is_limited_although_it_arrives() -> None:
    zigzag = path(*[0.05, 0.0] * 8)
    status, count, message, num_commands = drive(zigzag, max_acceleration=10.0)
    assert status is Status.LIMITED and 0 < count < 16 <= num_commands
    assert message == f"the limits of the robot let it pass {count} of 16 targets"
    smooth = path(*0.05 * (1.0 - np.cos(np.linspace(0.0, np.pi, 50)[1:])))
    assert drive(smooth, max_acceleration=10.0)[:3] == (Status.EXECUTED, 49, "")
    assert drive(zigzag) == (Status.EXECUTED, 16, "", 16)  # the acceleration is not limited
