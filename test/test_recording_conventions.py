"""Recorded states and actions in other units and with the right arm first become those of the robot."""

import numpy as np
import pytest

from chunk_ppo_ros.config import RecordingsConfig, RobotConfig
from chunk_ppo_ros.data.conventions import actions_in_robot_units, states_in_robot_units, with_left_arm_first
from chunk_ppo_ros.data.left_out import is_left_out
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.grippers import GRIPPER_CONVENTIONS, convention_of

CONVENTION = convention_of(RobotConfig())
POSE = np.linspace(-0.5, 0.5, 14, dtype=np.float32)[None]


def test_the_right_arm_that_was_recorded_first_comes_second() -> None:
    recorded = np.arange(14.0)[None]
    assert with_left_arm_first(recorded, "right_first")[0].tolist() == [*range(7, 14), *range(7)]
    for order in ("", "left_first"):
        assert with_left_arm_first(recorded, order) is recorded
    one_arm = np.arange(7.0)[None]
    assert with_left_arm_first(one_arm, "right_first") is one_arm


def test_degrees_become_radians_but_grippers_do_not() -> None:
    recorded = POSE.copy()
    recorded[:, aloha.ARM_INDICES] = np.degrees(recorded[:, aloha.ARM_INDICES])
    for convert in (states_in_robot_units, actions_in_robot_units):
        np.testing.assert_allclose(convert(recorded, RecordingsConfig(joint_unit="deg"), CONVENTION), POSE, atol=1e-6)


@pytest.mark.parametrize("unit", ["percent", "motor_rad", "motor_deg", "finger_m", "finger_mm", "interbotix_2"])
@pytest.mark.parametrize("name", list(GRIPPER_CONVENTIONS))
def test_grippers_of_each_unit_have_the_opening_that_the_robot_had(unit: str, name: str) -> None:
    convention, opening = GRIPPER_CONVENTIONS[name], 0.3
    of_state = {
        "motor": convention.motor_from_state_opening(opening),
        "finger": convention.finger_from_opening(opening),
    }
    motor = convention.motor_from_opening(opening)
    of_action = {"motor": motor, "finger": convention.linkage.finger_from_motor(motor)}
    for angles, convert in ((of_state, states_in_robot_units), (of_action, actions_in_robot_units)):
        recorded = {
            "percent": 100 * opening,
            "motor_rad": angles["motor"],
            "motor_deg": np.degrees(angles["motor"]),
            "finger_m": angles["finger"],
            "finger_mm": 1000 * angles["finger"],
            "interbotix_2": (angles["motor"] - 0.0440) / 0.0139,
        }[unit]
        values = POSE.copy()
        values[:, aloha.GRIPPER_INDICES] = recorded
        recordings = RecordingsConfig(state_gripper_unit=unit, action_gripper_unit=unit)
        converted = convert(values, recordings, convention)
        np.testing.assert_allclose(converted[:, aloha.GRIPPER_INDICES], opening, atol=2e-3)
        np.testing.assert_allclose(converted[:, aloha.ARM_INDICES], POSE[:, aloha.ARM_INDICES], atol=1e-6)


def test_vectors_that_are_not_whole_arms_stay_as_they_are() -> None:
    other = np.ones((3, 8), np.float32)
    assert states_in_robot_units(other, RecordingsConfig(joint_unit="deg"), CONVENTION) is other


@pytest.mark.parametrize("name", ["/data/cup/episode_3.hdf5", "cup/episode_3.hdf5", "episode_3.hdf5"])
def test_a_file_is_left_out_by_the_end_of_its_name(name: str) -> None:
    assert is_left_out("/data/cup/episode_3.hdf5", ["x", name])
    assert not is_left_out("/data/cup/my_episode_3.hdf5", ["episode_3.hdf5", "5", ""])


def test_an_episode_of_a_folder_is_left_out_by_its_number() -> None:
    for name in ("/data/cup, episode 7", "cup, episode 7", "episode 7"):
        assert is_left_out("/data/cup, episode 7", [name])
    assert not is_left_out("/data/cup, episode 17", ["episode 7", "7"])
