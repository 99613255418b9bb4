"""Tests the limits of each command: speed, acceleration, joint range, and stopping in time.

The control period is 0.02 s. With 10 rad/s^2 a step changes by 0.004 rad from one command to the next, and with
1.5 rad/s it is 0.03 rad at most.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import Cause
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.braking import stopping_step
from chunk_ppo_ros.robot.gate.command_limiter import CommandLimiter
from chunk_ppo_ros.robot.gate.commands import Command, Room
from chunk_ppo_ros.robot.gate.gate import Gate

DT = 0.02
CONFIG = RobotConfig(max_velocity=1.5, max_acceleration=10.0)
STEP, CHANGE = 0.03, 0.004
ARM = aloha.ARM_INDICES
REST = Command.at_rest(aloha.START_POSE)
anywhere = hnp.arrays(float, 14, elements=st.floats(-10.0, 10.0))


def follow(targets: np.ndarray, *, extra: int = 0, start: Command = REST, config: RobotConfig = CONFIG) -> np.ndarray:
    """The commands [k + 1, 14] for targets [k, 14], the start first, with `extra` more steps toward the last target."""
    limiter, last, commands = CommandLimiter(config), start, [start.target]
    for index in range(len(targets) + extra):
        left = targets[min(index, len(targets) - 1) :]
        last = limiter.limit(left[0], last, room=Room.of(left)).command
        commands.append(last.target)
    return np.array(commands)


def ramp(to: float, num_steps: int) -> np.ndarray:
    """Targets that move the left waist to `to` at a constant speed, float [num_steps, 14]."""
    targets = np.tile(aloha.START_POSE, (num_steps, 1))
    targets[:, 0] = np.linspace(0.0, to, num_steps + 1)[1:]
    return targets


def test_a_robot_at_rest_begins_with_the_largest_change() -> None:
    commands = follow(ramp(0.4, 20))[:, 0]
    np.testing.assert_allclose(np.diff(commands)[:3], [CHANGE, 2 * CHANGE, 3 * CHANGE])


def test_it_stops_at_the_last_target_and_does_not_go_beyond() -> None:
    commands = follow(ramp(0.4, 20), extra=20)[:, 0]
    assert np.max(commands) == commands[-1] == 0.4
    assert commands[-1] == commands[-2]


def test_a_target_alone_is_where_it_stops() -> None:
    limiter, last = CommandLimiter(CONFIG), REST
    seen = []
    for _ in range(60):
        last = limiter.limit(ramp(0.4, 1)[0], last).command
        seen.append(last.target[0])
    assert max(seen) == seen[-1] == 0.4 and last.rests


def test_a_command_that_keeps_all_limits_is_not_changed() -> None:
    slow = follow(ramp(0.004, 2), extra=0)
    np.testing.assert_array_equal(slow[1:, 0], [0.002, 0.004])


def test_the_causes_name_the_limit() -> None:
    limiter = CommandLimiter(CONFIG)
    fast = Command(aloha.START_POSE, np.full(14, STEP))
    assert limiter.limit(ramp(0.02, 1)[0], REST).causes == Cause.ACCELERATION
    far = np.array(aloha.START_POSE) + np.where(np.isin(np.arange(14), ARM), 0.4, 0.0)
    assert limiter.limit(far, fast).causes == Cause.VELOCITY
    assert CommandLimiter(RobotConfig()).limit(ramp(0.02, 1)[0], REST).causes == Cause(0)


@settings(max_examples=300, deadline=None)
@given(
    targets=hnp.arrays(float, st.tuples(st.integers(1, 16), st.just(14)), elements=st.floats(-10.0, 10.0)),
    start=anywhere,
    times=st.lists(st.floats(0.0174, 0.2), min_size=40, max_size=40),
)
def test_speed_acceleration_and_range_hold_for_any_targets_and_times(
    targets: np.ndarray, start: np.ndarray, times: list[float]
) -> None:
    limiter = CommandLimiter(CONFIG)
    last = Command.at_rest(np.clip(start, aloha.LOWER_LIMITS, aloha.UPPER_LIMITS))
    for index, dt in enumerate(times):
        left = targets[index % len(targets) :]
        before = last if dt <= 3 * DT else Command.at_rest(last.target)
        last = limiter.limit(left[0], last, dt=dt, room=Room.of(left)).command
        change = np.abs(last.step - before.step)[ARM]
        assert np.all(np.abs(last.step)[ARM] <= 1.5 * min(dt, DT) + 1e-12)
        assert np.all(change <= CHANGE + 1e-12)
        assert np.all(last.target >= aloha.LOWER_LIMITS - 1e-12) and np.all(last.target <= aloha.UPPER_LIMITS + 1e-12)


@settings(max_examples=200, deadline=None)
@given(targets=hnp.arrays(float, st.tuples(st.integers(1, 16), st.just(14)), elements=st.floats(-1.7, 1.2)))
def test_a_chunk_ends_at_rest_at_its_last_target_without_overshoot(targets: np.ndarray) -> None:
    config = dataclasses.replace(CONFIG, max_velocity=3.0)
    targets = np.clip(targets, aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)
    commands = follow(targets, extra=120, config=config)[:, ARM]
    np.testing.assert_array_equal(commands[-1], targets[-1][ARM])
    asked = np.concatenate([aloha.START_POSE[None], targets])[:, ARM]
    assert np.all(commands <= np.max(asked, axis=0) + 1e-12) and np.all(commands >= np.min(asked, axis=0) - 1e-12)


@settings(deadline=None)
@given(start=anywhere, target=anywhere)
def test_an_arm_outside_its_range_moves_toward_it_and_never_away(start: np.ndarray, target: np.ndarray) -> None:
    limiter, last = CommandLimiter(CONFIG), Command.at_rest(start)
    outside = np.maximum(start - aloha.UPPER_LIMITS, aloha.LOWER_LIMITS - start)
    for _ in range(20):
        last = limiter.limit(target, last).command
        now = np.maximum(last.target - aloha.UPPER_LIMITS, aloha.LOWER_LIMITS - last.target)
        assert np.all(now <= np.maximum(outside, 0.0) + 1e-12)
        outside = now


def test_a_stop_brakes_with_the_largest_change_and_then_rests() -> None:
    limiter, last = CommandLimiter(CONFIG), Command(aloha.START_POSE, np.where(np.arange(14) == 0, 0.01, 0.0))
    steps = []
    for _ in range(4):
        limited = limiter.stop(last)
        last = limited.command
        steps.append(last.step[0])
        assert limited.causes == Cause.HOLD
    np.testing.assert_allclose(steps, [0.006, 0.002, 0.0, 0.0], atol=1e-15)
    assert last.target[0] == pytest.approx(0.008) and last.rests


def test_a_stop_without_a_limit_of_acceleration_holds_the_last_command() -> None:
    last = Command(aloha.START_POSE, np.full(14, 0.03))
    np.testing.assert_array_equal(CommandLimiter(RobotConfig()).stop(last).target, aloha.START_POSE)


def test_missed_steps_are_not_made_up_for() -> None:
    limiter, fast = CommandLimiter(CONFIG), Command(aloha.START_POSE, np.where(np.arange(14) == 0, STEP, 0.0))
    target = ramp(1.0, 1)[0]
    assert limiter.limit(target, fast, dt=0.059).command.step[0] == pytest.approx(STEP)
    assert limiter.limit(target, fast, dt=0.061).command.step[0] == pytest.approx(CHANGE)
    assert limiter.limit(target, fast, dt=0.018).command.step[0] == pytest.approx(1.5 * 0.018)
    assert limiter.stop(fast, dt=0.061).command.rests


def test_the_longest_step_from_which_a_joint_stops_in_time() -> None:
    distance = np.array([-1.0, 0.0, 0.003, 0.004, 0.02, 1.0])
    expected = [0.0, 0.0, 0.003, 0.004, 0.0092665, 0.0855323]  # s + s^2 / 0.008 = distance
    np.testing.assert_allclose(stopping_step(distance, np.full(6, CHANGE)), expected, atol=1e-6)
    np.testing.assert_array_equal(stopping_step(distance, np.full(6, np.inf)), np.maximum(distance, 0.0))


def test_a_lower_speed_is_reached_within_the_acceleration() -> None:
    limiter, fast = CommandLimiter(CONFIG), Command(aloha.START_POSE, np.where(np.arange(14) == 0, STEP, 0.0))
    limiter.set_max_velocity(0.5)
    last, steps = fast, []
    for _ in range(8):
        last = limiter.limit(ramp(3.0, 1)[0], last).command
        steps.append(last.step[0])
    np.testing.assert_allclose(steps, [0.026, 0.022, 0.018, 0.014, 0.010, 0.010, 0.010, 0.010])


def test_a_gate_must_know_where_the_robot_is_before_a_command() -> None:
    gate = Gate(CONFIG)
    with pytest.raises(RuntimeError, match="must know where the robot is before a command, got nothing; anchor it"):
        gate.send(aloha.START_POSE, now=None)
    with pytest.raises(RuntimeError, match="must know where the robot is before a command, got nothing; anchor it"):
        gate.stop(now=None)
    gate.anchor(np.array(aloha.START_POSE))
    gate.set_max_velocity(0.05)
    steps = [gate.send(ramp(1.0, 1)[0], now=None).command.step[0] for _ in range(3)]
    np.testing.assert_allclose(steps, 0.001)


def test_a_target_must_have_fourteen_finite_numbers() -> None:
    with pytest.raises(ValueError, match=r"target must have shape \(14,\), got \(3,\)"):
        CommandLimiter(CONFIG).limit(np.zeros(3), REST)
    with pytest.raises(ValueError, match="previous target must be finite, got "):
        CommandLimiter(CONFIG).limit(np.zeros(14), Command.at_rest(np.full(14, np.nan)))


def test_a_command_that_would_come_too_early_waits() -> None:
    limiter = CommandLimiter(CONFIG)
    assert [limiter.is_early(dt) for dt in (None, 0.001, 0.0173, 0.0174, 0.02, 1.0)] == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]
    assert CommandLimiter(RobotConfig()).is_early(0.0099) and not CommandLimiter(RobotConfig()).is_early(0.0101)
