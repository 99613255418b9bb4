"""Tests what may reach the robot.

The control period is 0.02 s, so a joint at 3.14159 rad/s moves 0.0628318 rad in a step.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import Cause
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.command_limiter import CLAMP_TOLERANCE, CommandLimiter
from chunk_ppo_ros.robot.gate.commands import Command
from chunk_ppo_ros.robot.safety import check_chunk

CONFIG = RobotConfig()
DT = 0.02
REACH = 3.14159 * DT
TIMES = np.arange(1, 5) * DT


def moved(dimension: int, by: float, start: np.ndarray = aloha.START_POSE) -> np.ndarray:
    target = np.array(start)
    target[dimension] += by
    return target


def chunk(first: np.ndarray = aloha.START_POSE) -> np.ndarray:
    return np.tile(first, (len(TIMES), 1))


def test_a_target_in_reach_passes_unchanged() -> None:
    target = moved(3, 0.06)
    limited = CommandLimiter(CONFIG).limit(target, Command.at_rest(aloha.START_POSE))
    np.testing.assert_allclose(limited.target, target)
    assert not limited.clamped
    assert limited.causes == Cause(0)


def test_a_fast_target_is_cut_to_the_speed_limit() -> None:
    limited = CommandLimiter(CONFIG).limit(moved(3, -0.1), Command.at_rest(aloha.START_POSE))
    np.testing.assert_allclose(limited.target, moved(3, -REACH))
    assert limited.clamped
    assert limited.causes == Cause.VELOCITY
    # The target asks for 0.1 rad, and gets 0.0628318.
    assert limited.max_clamp == pytest.approx(0.0371682)


def test_the_gripper_has_its_own_speed_limit() -> None:
    limited = CommandLimiter(CONFIG).limit(moved(13, 0.8), Command.at_rest(aloha.START_POSE))
    # The limit is 8 openings/s * 0.02 s = 0.16.
    assert limited.target[13] == pytest.approx(0.1 + 0.16)


def test_a_target_out_of_range_is_cut_to_the_range() -> None:
    near = np.array(aloha.START_POSE)
    near[1] = 1.25
    limited = CommandLimiter(CONFIG).limit(moved(1, 0.05, near), Command.at_rest(near))
    assert limited.target[1] == pytest.approx(1.25664)
    assert limited.max_clamp == pytest.approx(0.04336)
    assert limited.causes == Cause.POSITION


def test_a_target_far_out_of_range_is_cut_to_the_range_and_to_the_speed() -> None:
    limited = CommandLimiter(CONFIG).limit(moved(1, 9.0), Command.at_rest(aloha.START_POSE))
    assert limited.causes == Cause.POSITION | Cause.VELOCITY


def test_an_arm_outside_its_range_is_led_back_without_a_jump() -> None:
    asleep = np.array(aloha.START_POSE)
    asleep[1] = -2.05
    limited = CommandLimiter(CONFIG).limit(asleep, Command.at_rest(asleep))
    # The range begins at -1.85005, which is 0.2 rad away. This is more than one step at the speed limit.
    assert limited.target[1] == pytest.approx(-2.05 + REACH)


finite = st.floats(-10.0, 10.0)


@given(target=hnp.arrays(float, 14, elements=finite), previous=hnp.arrays(float, 14, elements=finite))
def test_limited_targets_are_in_reach_and_in_range(target: np.ndarray, previous: np.ndarray) -> None:
    inside = np.clip(previous, aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)
    result = CommandLimiter(CONFIG).limit(target, Command.at_rest(inside))
    limited = result.target
    assert bool(result.causes) == (np.max(np.abs(limited - target)) > CLAMP_TOLERANCE)
    reach = np.where(np.isin(np.arange(14), aloha.GRIPPER_INDICES), 8.0 * DT, REACH)
    assert np.all(np.abs(limited - inside) <= reach + 1e-12)
    assert np.all((limited >= aloha.LOWER_LIMITS - 1e-12) & (limited <= aloha.UPPER_LIMITS + 1e-12))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_errors(bad: float) -> None:
    with pytest.raises(ValueError, match="^target must be finite"):
        CommandLimiter(CONFIG).limit(moved(0, bad), Command.at_rest(aloha.START_POSE))
    with pytest.raises(ValueError, match="previous target must be finite"):
        CommandLimiter(CONFIG).limit(aloha.START_POSE, Command.at_rest(moved(0, bad)))


def test_wrong_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"target must have shape \(14,\), got \(7,\)"):
        CommandLimiter(CONFIG).limit(np.zeros(7), Command.at_rest(aloha.START_POSE))


def reason(times: np.ndarray = TIMES, targets: np.ndarray | None = None, age: float = 0.0) -> str | None:
    targets = chunk() if targets is None else targets
    return check_chunk(times, targets, measured=aloha.START_POSE, age=age, config=CONFIG)


def test_a_good_chunk_has_no_reason_against_it() -> None:
    assert reason() is None
    assert reason(times=TIMES - DT) is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"targets": chunk()[:, :13]}, r"shape \(k, 14\) with k >= 1, got \(4, 13\)"),
        ({"targets": chunk()[:3]}, r"got \(3, 14\) and 4 times"),
        ({"times": TIMES[:0], "targets": chunk()[:0]}, "k >= 1"),
        ({"targets": chunk(moved(9, np.nan))}, "finite, got nan in step 0, dimension 9"),
        ({"times": TIMES[[0, 1, 1, 2]]}, "strictly increasing"),
        ({"times": TIMES - 2 * DT}, "strictly increasing from 0 s"),
        ({"times": TIMES * 0.5}, "0.0200 s apart"),
        ({"age": 1.01}, "age of 1.010 s"),
        ({"age": -1.01}, "age of -1.010 s"),
        ({"age": float("nan")}, "age of nan s"),
        ({"targets": chunk(moved(9, 0.51))}, "within 0.5 rad .* got 1.670 for right elbow at 1.160"),
    ],
)
def test_a_bad_chunk_has_a_reason_against_it(changes: dict[str, object], text: str) -> None:
    message = reason(**changes)  # type: ignore[arg-type]
    assert message is not None
    assert re.search(text, message), message


def test_a_gripper_may_start_far_from_its_target() -> None:
    assert reason(targets=chunk(moved(6, 0.9))) is None
