"""Tests the workspace of the gate: arms stay in their boxes and above the table, and are never trapped there.

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
from chunk_ppo_ros.core.execution import Cause, Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.commands import LimitedTarget, Room
from chunk_ppo_ros.robot.gate.gate import Gate
from chunk_ppo_ros.robot.gate.workspace import workspaces_of
from chunk_ppo_ros.robot.kinematics import POINT_RADII

DT, STEP, CHANGE = 0.02, 0.03, 0.004
CONFIG = RobotConfig(
    max_velocity=1.5, max_acceleration=10.0, table_height=0.0, workspace_box=("x=-0.4/0.6", "y=-0.5/0.5", "z=-0.1/0.7")
)
UNLIMITED = dataclasses.replace(CONFIG, max_acceleration=0.0)
ARM = aloha.ARM_INDICES
SLEEP = np.tile([0.0, -2.05, 1.7, 0.0, -2.0, 0.0, 0.1], 2)
in_range = hnp.arrays(float, 14, elements=st.floats(0.0, 1.0)).map(
    lambda part: aloha.LOWER_LIMITS + part * (aloha.UPPER_LIMITS - aloha.LOWER_LIMITS)
)
anywhere = hnp.arrays(float, 14, elements=st.floats(-10.0, 10.0))


def excess(pose: np.ndarray, config: RobotConfig = CONFIG) -> np.ndarray:
    """How far the watched points of both arms are beyond each side, float [48], m; negative where they are inside."""
    spaces = workspaces_of(config)
    return np.concatenate([space.excess(pose[aloha.side_slice(side)][None])[0] for side, space in spaces.items()])


def tips(pose: np.ndarray) -> float:
    """The height of the lowest finger tip, m."""
    return -float(np.max(excess(pose).reshape(2, 4, 6)[:, :2, 2]))


def anchored(pose: np.ndarray, config: RobotConfig = CONFIG) -> Gate:
    gate = Gate(config)
    gate.anchor(np.array(pose))
    return gate


def hold_to(gate: Gate, target: np.ndarray, *, most: int = 400) -> list[LimitedTarget]:
    """Asks for a target until the gate has arrived."""
    sent = [gate.send(target, now=None)]
    while not gate.has_arrived(target) and len(sent) < most:
        sent.append(gate.send(target, now=None))
    return sent


def reaching_down(depth: float) -> np.ndarray:
    """A pose whose left gripper reaches down and ends `depth` rad of the shoulder beyond that over the table."""
    pose = np.array(aloha.START_POSE)
    pose[:6] = [0.0, 0.1 + depth, 0.6, 0.0, 0.8, 0.0]
    return pose


@settings(max_examples=60, deadline=None)
@given(
    targets=hnp.arrays(float, st.tuples(st.integers(1, 16), st.just(14)), elements=st.floats(-3.0, 3.0)),
    times=st.lists(st.floats(0.0174, 0.2), min_size=30, max_size=30),
    limits_acceleration=st.booleans(),
)
def test_arms_stay_inside_within_speed_acceleration_and_range(
    targets: np.ndarray, times: list[float], limits_acceleration: bool
) -> None:
    config = CONFIG if limits_acceleration else UNLIMITED
    gate, now, before = anchored(aloha.START_POSE, config), 0.0, np.zeros(14)
    for index, dt in enumerate([DT, *times]):
        last, now, was = gate.commanded, now + dt, now
        left = targets[index % len(targets) :]
        command = gate.send(left[0], now=now, room=Room.of(left)).target
        step = command - last
        before = before if now - was <= 3 * DT or not index else np.zeros(14)
        assert np.all(np.abs(step)[ARM] <= 1.5 * min(dt, DT) + 1e-12)
        assert not limits_acceleration or np.all(np.abs(step - before)[ARM] <= CHANGE + 1e-12)
        assert np.all(command >= aloha.LOWER_LIMITS - 1e-12) and np.all(command <= aloha.UPPER_LIMITS + 1e-12)
        assert np.max(excess(command)) <= 1e-8
        before = step


@settings(max_examples=60, deadline=None)
@given(start=in_range, target=anywhere, stops=st.lists(st.booleans(), min_size=20, max_size=20))
def test_from_outside_no_point_moves_farther_out(start: np.ndarray, target: np.ndarray, stops: list[bool]) -> None:
    gate = anchored(start)
    before = np.maximum(excess(start), 0.0)
    for stop in stops:
        command = (gate.stop(now=None) if stop else gate.send(target, now=None)).target
        outside = np.maximum(excess(command), 0.0)
        assert np.all(outside <= before + 1e-8)
        before = outside


@settings(max_examples=25, deadline=None)
@given(targets=st.lists(in_range, min_size=1, max_size=3), limits_acceleration=st.booleans())
def test_no_target_traps_the_arms(targets: list[np.ndarray], limits_acceleration: bool) -> None:
    """Wherever targets pressed the arms, they still move when an operator leads each joint away from the border."""
    gate = anchored(aloha.START_POSE, CONFIG if limits_acceleration else UNLIMITED)
    for target in targets:
        hold_to(gate, target, most=60)
    for _ in range(15):
        gate.stop(now=None)
    pressed = gate.commanded
    back = (pressed + gate.send(np.array(aloha.START_POSE), now=None).target) / 2.0
    ways = [aloha.START_POSE, back, *(pressed + 0.1 * sign * np.eye(14)[joint] for joint in (1, 2) for sign in (1, -1))]
    moved = []
    for way in ways:
        moved.append(np.max(np.abs(gate.send(np.array(way), now=None).command.step)[ARM]))
    assert max(moved) > 1e-4


@pytest.mark.parametrize("seed", [2, 4, 5, 6, 7])
def test_an_arm_that_presses_on_a_border_comes_to_rest(seed: int) -> None:
    """Without a rule that each step must lead on, the arms swing along the border for ever with these seeds."""
    random = np.random.default_rng(seed)
    gate = anchored(aloha.START_POSE)
    for _ in range(2):
        target = random.uniform(aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)
        hold_to(gate, target, most=700)
        assert gate.has_arrived(target)
        still = [np.max(np.abs(gate.send(target, now=None).command.step)[ARM]) for _ in range(20)]
        assert max(still[10:]) < 1e-4


def test_a_pressed_arm_goes_back_to_the_start_pose():
    gate = anchored(aloha.START_POSE)
    hold_to(gate, reaching_down(0.5))
    hold_to(gate, np.array(aloha.START_POSE))
    np.testing.assert_allclose(gate.commanded[ARM], aloha.START_POSE[ARM])


def test_finger_tips_come_to_the_table_and_slide_on_it():
    gate = anchored(aloha.START_POSE)
    sent = hold_to(gate, reaching_down(0.3))
    assert Cause.WORKSPACE in sent[-1].causes and sent[-1].clamped
    assert 0.0 <= tips(gate.commanded) < 2e-3
    before = gate.commanded
    beside = reaching_down(0.3)
    beside[0] = 0.4
    hold_to(gate, beside)
    assert gate.commanded[0] == pytest.approx(0.4, abs=0.02) and before[0] == pytest.approx(0.0, abs=0.02)
    assert 0.0 <= tips(gate.commanded) < 2e-3


def test_a_gripper_closes_at_the_table():
    gate = anchored(aloha.START_POSE)
    pressing = reaching_down(0.3)
    hold_to(gate, pressing)
    pressing[6] = 0.9
    for _ in range(10):
        gate.send(pressing, now=None)
    assert gate.commanded[6] == pytest.approx(0.9)


def test_a_target_inside_is_not_changed():
    with_box, without = anchored(aloha.START_POSE), anchored(aloha.START_POSE, RobotConfig(max_velocity=1.5))
    without = anchored(aloha.START_POSE, dataclasses.replace(CONFIG, table_height=-1.0, workspace_box=()))
    target = aloha.START_POSE + 0.1
    for _ in range(30):
        one, other = with_box.send(target, now=None), without.send(target, now=None)
        np.testing.assert_array_equal(one.target, other.target)
        assert one.causes == other.causes


def test_a_chunk_outside_is_executed_where_it_stands_still():
    gate, target = anchored(aloha.START_POSE), reaching_down(0.3)
    hold_to(gate, target)
    targets = np.tile(target, (16, 1))
    gate.anchor(gate.commanded)
    commanded = [gate.send(target, now=None).target for _ in range(16)]
    ending = gate.ending(targets, commanded)
    assert gate.ending(targets, commanded[:15]) is None and ending is not None and ending.has_arrived
    assert (ending.status, gate.num_passed(targets, commanded)) == (Status.EXECUTED, 16)


def test_the_other_arm_must_pass_its_targets_all_the_same():
    gate, target = anchored(aloha.START_POSE), reaching_down(0.3)
    target[7] = 0.5  # of the right arm, which is inside and would need more steps
    gate.anchor(gate.commanded)
    commanded = [gate.send(target, now=None).target for _ in range(16)]
    assert gate.num_passed(np.tile(target, (16, 1)), commanded) == 0


def test_arms_leave_the_sleep_pose():
    gate = anchored(SLEEP)
    hold_to(gate, np.array(aloha.START_POSE))
    np.testing.assert_allclose(gate.commanded[ARM], aloha.START_POSE[ARM])


def test_the_point_that_is_outside_is_named():
    gate = anchored(aloha.START_POSE)
    assert gate.outside(aloha.START_POSE) == "" == anchored(aloha.START_POSE, RobotConfig()).outside(reaching_down(0.9))
    text = gate.outside(reaching_down(0.9))
    assert text.startswith("the left arm's ") and text.endswith(" m beyond min z") and "right arm" not in text


def test_an_arm_may_have_a_box_of_its_own():
    config = RobotConfig(workspace_box=("left.y=-0.1/0.1",))
    gate = anchored(aloha.START_POSE, config)
    target = np.array(aloha.START_POSE)
    target[[0, 7]] = 0.8
    hold_to(gate, target)
    assert gate.commanded[7] == pytest.approx(0.8)
    assert np.max(excess(gate.commanded, config)) <= 1e-8 and gate.commanded[0] < 0.4
    assert list(workspaces_of(config)) == ["left"]


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        (("x=1",), "must be entries AXIS=LOW/HIGH"),
        (("w=0/1",), "'w=0/1'; write for example x=-0.4/0.6"),
        (("middle.x=0/1",), "left.x for one arm alone"),
        (("x=0.5/0.1",), "LOW below HIGH"),
        (("x=0/nan",), "LOW below HIGH"),
        (("x=a/b",), "LOW below HIGH"),
        (("x=0/1", "right.x=0/2"), "must give right.x once, got it again in 'right.x=0/2'; leave one out"),
    ],
)
def test_a_box_that_cannot_be_read_is_refused(entries: tuple[str, ...], text: str) -> None:
    with pytest.raises(ValueError, match="robot.workspace_box") as error:
        RobotConfig(workspace_box=entries)
    assert text in str(error.value)


def test_sides_of_a_box_that_are_not_given_are_far():
    space = workspaces_of(RobotConfig(workspace_box=("z=0.1/0.5",)))["right"]
    assert np.all(space.lows[:, :2] < -9.0) and np.all(space.highs[:, :2] > 9.0)
    np.testing.assert_allclose(space.lows[:, 2], 0.1 + POINT_RADII)
    np.testing.assert_allclose(space.highs[:, 2], 0.5 - POINT_RADII)
    assert workspaces_of(RobotConfig()) == {}
