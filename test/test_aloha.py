"""Tests the layout, the units and the names of ALOHA."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha, grippers

NAMES = [*aloha.ARM_JOINTS, "gripper", "left_finger", "right_finger"]
POSITIONS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.491, 0.058, -0.058]
OPENPI = grippers.GRIPPER_CONVENTIONS["openpi"]


def test_layout_is_left_arm_gripper_right_arm_gripper() -> None:
    assert aloha.side_slice("left") == slice(0, 7)
    assert aloha.side_slice("right") == slice(7, 14)
    assert aloha.GRIPPER_INDICES.tolist() == [6, 13]
    assert aloha.ARM_INDICES.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]


@pytest.mark.parametrize("name", sorted(grippers.GRIPPER_CONVENTIONS))
def test_a_gripper_motor_that_is_farther_than_it_can_turn_gives_no_opening(name: str) -> None:
    convention = grippers.GRIPPER_CONVENTIONS[name]

    def opening(motor: float) -> float:
        return float(aloha.follower_reading(NAMES, [*POSITIONS[:6], motor, 0.03, -0.03], convention)[-1])

    assert opening(-np.pi) == -np.inf and opening(np.pi) == np.inf
    assert opening(convention.motor_open) == pytest.approx(1.0, abs=0.01)
    assert opening(convention.motor_closed) == pytest.approx(0.0, abs=0.01)
    without_motor = aloha.follower_reading([*NAMES[:6], "left_finger"], [*POSITIONS[:6], 0.03], convention)
    assert np.isfinite(without_motor[-1])


def test_unknown_side_is_refused() -> None:
    with pytest.raises(ValueError, match="side must be one of left, right, got 'middle'"):
        aloha.side_slice("middle")


def test_start_pose_lies_within_the_limits() -> None:
    assert np.all((aloha.LOWER_LIMITS < aloha.START_POSE) & (aloha.START_POSE < aloha.UPPER_LIMITS))


def test_constants_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        aloha.START_POSE[0] = 1.0


@pytest.mark.parametrize(
    ("name", "finger", "motor"),
    # Half open lies midway between the table's open and closed values, e.g. (0.058 + 0.01844) / 2 = 0.03822.
    [("openpi", 0.03822, 0.43485), ("interbotix", 0.05095, 1.12055)],
)
def test_half_open_gripper(name: str, finger: float, motor: float) -> None:
    convention = grippers.GRIPPER_CONVENTIONS[name]
    assert convention.finger_from_opening(0.5) == pytest.approx(finger)
    assert convention.motor_from_opening(0.5) == pytest.approx(motor)


@given(opening=st.floats(-1.0, 2.0), name=st.sampled_from(sorted(grippers.GRIPPER_CONVENTIONS)))
def test_gripper_units_invert(opening: float, name: str) -> None:
    convention = grippers.GRIPPER_CONVENTIONS[name]
    assert convention.opening_from_finger(convention.finger_from_opening(opening)) == pytest.approx(opening, abs=1e-9)
    assert convention.opening_from_motor(convention.motor_from_opening(opening)) == pytest.approx(opening, abs=1e-9)


@given(order=st.permutations(range(len(NAMES))))
def test_state_does_not_depend_on_the_order_of_names(order: list[int]) -> None:
    state = aloha.side_state([NAMES[i] for i in order], [POSITIONS[i] for i in order], OPENPI)
    # The motor is fully open in openpi's convention. The linkage has its finger at 0.05789 m, not quite at 0.058 m.
    np.testing.assert_allclose(state, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.99715], atol=1e-5)


@pytest.mark.parametrize(("name", "motor"), [("openpi", -0.18795), ("interbotix", 0.3873)])
def test_a_leader_asks_for_half_an_opening(name: str, motor: float) -> None:
    # The motor is midway between open and closed, e.g. (0.3083 - 0.6842) / 2. Its finger is not used.
    positions = [*POSITIONS[:6], motor, float("nan"), float("nan")]
    state = aloha.leader_state(NAMES, positions, grippers.GRIPPER_CONVENTIONS[name])
    np.testing.assert_allclose(state, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.5], atol=1e-6)


@pytest.mark.parametrize(
    ("absent", "text"),
    [
        (("elbow", "left_finger"), "without elbow;"),
        (("elbow", "gripper", "left_finger"), "without elbow, left_finger;"),
    ],
)
def test_missing_joint_is_named(absent: tuple[str, ...], text: str) -> None:
    names = [name for name in NAMES if name not in absent]
    with pytest.raises(ValueError, match=text):
        aloha.side_state(names, [0.0] * len(names), OPENPI)


def test_misnamed_joint_is_shown_beside_the_wanted_ones() -> None:
    with pytest.raises(ValueError, match="must include waist, .*got hip, shoulder"):
        aloha.side_state(["hip", *NAMES[1:]], POSITIONS, OPENPI)


def test_nan_joint_is_named() -> None:
    with pytest.raises(ValueError, match="joint shoulder must be finite, got nan"):
        aloha.side_state(NAMES, [0.0, float("nan"), *POSITIONS[2:]], OPENPI)


def test_a_joint_that_is_not_read_may_be_nan() -> None:
    positions = [*POSITIONS[:6], 1.5707963, float("nan"), float("nan")]
    assert aloha.side_state(NAMES, positions, OPENPI)[-1] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="joint gripper must be finite"):
        aloha.side_state(NAMES, [*POSITIONS[:6], float("nan"), 0.058, -0.058], OPENPI)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="got 9 names and 8 values"):
        aloha.side_state(NAMES, POSITIONS[:-1], OPENPI)


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="must be unique"):
        aloha.side_state([*NAMES, "waist"], [*POSITIONS, 3.0], OPENPI)


def test_camera_names() -> None:
    assert (
        aloha.camera_topic("{camera}/camera/color/image_rect_raw", "cam_high") == "cam_high/camera/color/image_rect_raw"
    )
    assert aloha.ROBOT_CAMERAS["left_wrist_0_rgb"] == "cam_left_wrist"
    assert aloha.MODEL_CAMERAS["cam_high"] == "base_0_rgb"
    with pytest.raises(ValueError, match=r"image_topic must contain \{camera\}, .*, got 'image_raw'"):
        RobotConfig(image_topic="image_raw")
    with pytest.raises(ValueError, match=r"in each topic, got '\{camera\}/image image_raw'"):
        RobotConfig(image_topic="{camera}/image image_raw")
    with pytest.raises(ValueError, match=r"image_topic must contain"):
        RobotConfig(image_topic=" ")


@pytest.mark.parametrize(
    ("names", "efforts", "expected"),
    [
        (aloha.ARM_JOINTS, [1.0, -2.0, 3.0, -4.0, 5.0, -6.0], 3.5),  # 21 / 6
        (("gripper", *aloha.ARM_JOINTS), [100.0, 1.0, -2.0, 3.0, -4.0, 5.0, -6.0], 3.5),
        (aloha.ARM_JOINTS, [], None),
        (aloha.ARM_JOINTS[:5], [1.0] * 5, None),
        (aloha.ARM_JOINTS, [1.0, 2.0, 3.0, 4.0, 5.0, float("nan")], None),
    ],
)
def test_the_effort_of_an_arm_is_the_mean_of_six_joints_or_unknown(names, efforts, expected):
    assert aloha.side_effort(names, efforts) == expected
