"""Tests grippers: the linkages, what open and closed mean, and a user's own numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha, gripper_linkage, grippers

OPENPI, INTERBOTIX = (grippers.GRIPPER_CONVENTIONS[name] for name in ("openpi", "interbotix"))
NAMES = [*aloha.ARM_JOINTS, aloha.GRIPPER, aloha.LEFT_FINGER]


def own(*entries: str, preset: str = "openpi") -> grippers.GripperConvention:
    return grippers.convention_of(RobotConfig(gripper_convention=preset, gripper_numbers=entries))


@pytest.mark.parametrize("linkage", gripper_linkage.LINKAGES.values(), ids=gripper_linkage.LINKAGES)
@given(motor=st.floats(-1.5, 1.5))
def test_linkage_inverts(linkage: gripper_linkage.GripperLinkage, motor: float) -> None:
    finger = linkage.finger_from_motor(np.array(motor))
    assert linkage.motor_from_finger(finger) == pytest.approx(motor, abs=1e-7)


@pytest.mark.parametrize(
    ("motor", "finger"), [(1.6214, 0.06244), (0.6197, 0.04288), (1.4910, 0.06234), (-0.6213, 0.01092)]
)
def test_the_fingers_of_aloha_vx300s(motor: float, finger: float) -> None:
    """The numbers are those that Interbotix's simulated driver published for the launched model."""
    assert gripper_linkage.ALOHA_VX300S.finger_from_motor(motor) == pytest.approx(finger, abs=5e-6)


@pytest.mark.parametrize("name", grippers.GRIPPER_CONVENTIONS)
def test_each_convention_agrees_with_its_linkage(name: str) -> None:
    convention = grippers.GRIPPER_CONVENTIONS[name]
    for motor, finger in (
        (convention.motor_open, convention.finger_open),
        (convention.motor_closed, convention.finger_closed),
    ):
        assert convention.linkage.finger_from_motor(motor) == pytest.approx(finger, abs=2e-4)


@pytest.mark.parametrize(
    ("convention", "opened", "closed"), [(OPENPI, 1.11, -0.19), (INTERBOTIX, 1.33, -0.08)], ids=["openpi", "interbotix"]
)
def test_fingers_of_another_linkage_read_wrong_and_the_motor_right(
    convention: grippers.GripperConvention, opened: float, closed: float
) -> None:
    """aloha_bringup launches aloha_vx300s. Its driver computes fingers by another linkage than these constants have."""
    for motor, wrong, opening in ((convention.motor_open, opened, 1.0), (convention.motor_closed, closed, 0.0)):
        finger = gripper_linkage.ALOHA_VX300S.finger_from_motor(motor)
        assert convention.opening_from_finger(finger) == pytest.approx(wrong, abs=5e-3)
        state = aloha.side_state(NAMES, [0.0] * 6 + [motor, finger], convention)
        assert state[-1] == pytest.approx(opening, abs=0.015)  # The constants agree with their linkage within 0.2 mm.


@pytest.mark.parametrize("motor", [1.4, 0.3, -0.6])
def test_without_a_motor_the_finger_is_read_by_the_linkage_of_the_driver(motor: float) -> None:
    names = [name for name in NAMES if name != aloha.GRIPPER]
    convention = own("driver_linkage=0.0275/0.035")
    finger = gripper_linkage.ALOHA_VX300S.finger_from_motor(motor)
    opening = aloha.side_state(names, [0.0] * 6 + [finger], convention)[-1]
    assert opening == pytest.approx(OPENPI.state_opening_from_motor(motor), abs=1e-9)
    assert convention.driver_finger_from_opening(opening) == pytest.approx(finger, abs=1e-9)
    with_motor = aloha.side_state(NAMES, [0.0] * 6 + [motor, finger], OPENPI)[-1]
    assert with_motor == pytest.approx(opening, abs=1e-9)


@pytest.mark.parametrize("name", grippers.GRIPPER_CONVENTIONS)
@given(opening=st.floats(0.0, 1.0, width=32))
def test_reading_from_the_motor_gives_the_opening_that_the_finger_gives(name: str, opening: float) -> None:
    """Motor and finger that agree with the linkage, as sim_node's do, give the same state."""
    convention = grippers.GRIPPER_CONVENTIONS[name]
    motor = convention.motor_from_state_opening(opening)
    by_finger = convention.state_opening_from_driver(convention.driver_finger_from_opening(opening))
    assert convention.state_opening_from_motor(motor) == pytest.approx(by_finger, abs=1e-12)


def test_linkage_beyond_its_reach_gives_its_end() -> None:
    # It reaches from 0.036 - 0.022 to 0.036 + 0.022 m.
    ends = gripper_linkage.VX300S.motor_from_finger(np.array([0.010, 0.070]))
    np.testing.assert_allclose(ends, [-np.pi / 2, np.pi / 2])
    assert gripper_linkage.VX300S.reach == pytest.approx((0.014, 0.058))


@pytest.mark.parametrize(
    ("finger", "possible"),
    [(0.2, False), (-0.01, False), (0.0039, False), (0.0041, True), (0.0679, True), (0.0681, False), (math.nan, True)],
)
def test_a_finger_far_outside_of_the_reach_is_named(finger: float, possible: bool) -> None:
    problem = aloha.finger_problem(NAMES, [0.0] * 7 + [finger], OPENPI)
    assert (not problem) == possible
    assert possible or "left_finger must be within 0.004..0.068 m (the reach of the gripper's linkage" in problem


def test_a_finger_that_is_not_reported_is_no_problem() -> None:
    assert not aloha.finger_problem(NAMES[:-1], [0.0] * 7, OPENPI)


def test_own_numbers_replace_those_of_the_preset() -> None:
    assert own() == OPENPI
    convention = own("leader_open=0.5", "finger_closed=0.02")
    assert (convention.leader_open, convention.finger_closed, convention.finger_open) == (0.5, 0.02, 0.058)
    assert convention.linkage == gripper_linkage.VX300S


def test_fingers_follow_from_own_motor_angles_and_an_own_linkage() -> None:
    convention = own("motor_open=1.6214", "motor_closed=0.6197", "linkage=0.0275/0.035", "finger_closed=0.05")
    assert convention.linkage == gripper_linkage.ALOHA_VX300S
    assert convention.finger_open == pytest.approx(0.06244, abs=5e-6)
    assert convention.finger_closed == 0.05


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("motor=1", "must be entries NAME=NUMBER of motor_open"),
        ("motor_open=wide", "got 'motor_open=wide'"),
        ("motor_open=nan", "got 'motor_open=nan'"),
        ("motor_open", "got 'motor_open'"),
        ("linkage=0.02", "where a linkage is RADIUS/LENGTH"),
        ("motor_open=1/2", "got 'motor_open=1/2'"),
        ("linkage=0.036/0.022", "a radius above 0 and below the length"),
        ("linkage=0/0.022", "a radius above 0 and below the length"),
    ],
)
def test_wrong_own_numbers_are_refused(entry: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"robot.gripper_numbers .*{text}"):
        RobotConfig(gripper_numbers=(entry,))


def test_open_and_closed_must_differ() -> None:
    with pytest.raises(ValueError, match=r"motor_open must differ from motor_closed, got -0\.6213 for both"):
        own("motor_open=-0.6213")


def test_an_own_number_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="must give motor_open once"):
        RobotConfig(gripper_numbers=("motor_open=1", "motor_open=2"))
