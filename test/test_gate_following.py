"""Tests when an arm counts as one that does not follow its commands."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.following_watch import FollowingWatch, stood_still

POSE = np.array(aloha.START_POSE)


def behind(joint: int, by: float) -> np.ndarray:
    measured = np.array(POSE)
    measured[joint] -= by
    return measured


def test_an_arm_that_is_behind_for_half_a_second_does_not_follow() -> None:
    watch = FollowingWatch(0.3)
    assert watch.obstruction(POSE, behind(8, 0.4), now=10.0) == ""
    assert watch.obstruction(POSE, behind(8, 0.4), now=10.49) == ""
    text = watch.obstruction(POSE, behind(8, 0.4), now=10.5)
    assert "the right shoulder does not follow: it is at -1.36 rad, 0.40 rad from its command" in text


def test_an_arm_that_catches_up_follows() -> None:
    watch = FollowingWatch(0.3)
    for now in np.arange(0.0, 5.0, 0.4):
        assert watch.obstruction(POSE, behind(1, 0.4), now=now) == ""
        assert watch.obstruction(POSE, behind(1, 0.29), now=now + 0.2) == ""


def test_a_gripper_that_holds_an_object_counts_as_following() -> None:
    watch = FollowingWatch(0.3)
    for now in (1.0, 2.0, 3.0):
        assert watch.obstruction(POSE, behind(6, 0.9), now=now) == ""


def test_without_a_limit_any_distance_counts_as_following() -> None:
    watch = FollowingWatch(0.0)
    for now in (1.0, 2.0, 3.0):
        assert watch.obstruction(POSE, behind(1, 2.0), now=now) == ""


def commands(by: float, count: int = 16) -> np.ndarray:
    """Returns commands [count, 14] that turn the left elbow by an angle, rad."""
    targets = np.tile(POSE, (count, 1))
    targets[:, 2] += np.linspace(0.0, by, count)
    return targets


def test_an_arm_without_torque_did_not_move() -> None:
    text = stood_still(commands(0.1), POSE, POSE + 0.004)
    assert text.startswith("the left elbow did not move: it was commanded by 0.10 rad and turned by 0.004 rad")


def test_a_joint_that_lags_or_is_hardly_commanded_has_moved() -> None:
    assert stood_still(commands(0.1), POSE, behind(2, -0.011)) == ""
    assert stood_still(commands(0.049), POSE, POSE) == ""
    assert stood_still(commands(0.1, count=7), POSE, POSE) == ""
