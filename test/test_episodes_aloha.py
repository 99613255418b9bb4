"""Tests what is known, assumed and asked about HDF5 files of each recorder."""

from __future__ import annotations

import pathlib
from typing import Any

import h5py
import numpy as np
import pytest

from chunk_ppo_ros.config import PretrainConfig, RecordingsConfig, RobotConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.readers import read_episodes
from chunk_ppo_ros.robot.grippers import convention_of
from support.aloha_files import INTERBOTIX_2, PICTURE, motion, write_aloha


def read(path: pathlib.Path, **recordings: Any) -> Episode:
    (episode,) = read_episodes(path, TrainConfig(recordings=RecordingsConfig(**recordings)))
    return episode


def of_interbotix_2(path: pathlib.Path, **content: Any) -> pathlib.Path:
    return write_aloha(path / "episode_0.hdf5", images=dict.fromkeys(INTERBOTIX_2, PICTURE), **content)


# The tests below are about the order of the arms.


def test_interbotix_2_is_asked_which_arm_comes_first(tmp_path: pathlib.Path) -> None:
    path = of_interbotix_2(tmp_path)
    with pytest.raises(UnansweredQuestion, match=r"episode_0\.hdf5: .*camera_high, .*set --arm_order right_first, or"):
        read(path)
    swapped = read(path, arm_order="right_first")
    np.testing.assert_array_equal(swapped.states, np.roll(motion(), 7, axis=1))
    np.testing.assert_array_equal(swapped.actions, np.roll(motion() + 0.01, 7, axis=1))
    np.testing.assert_array_equal(read(path, arm_order="left_first").states, motion())
    assert swapped.facts.format == "HDF5 of Interbotix' ALOHA 2.0 recorder"
    assert "The right arm comes first in the file, by --arm_order." in swapped.facts.said


@pytest.mark.parametrize("name", ["camera_high", "camera_low", "camera_wrist_left", "camera_wrist_right"])
def test_one_camera_tells_the_recorder(tmp_path: pathlib.Path, name: str) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5", images={name: PICTURE, "top": PICTURE})
    with pytest.raises(UnansweredQuestion, match=f"cameras {name}"):
        read(path)


def test_an_attribute_tells_the_recorder(tmp_path: pathlib.Path) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5", images={}, attributes={"robot": "aloha_stationary"})
    with pytest.raises(UnansweredQuestion, match="robot aloha_stationary"):
        read(path)


def test_a_single_arm_has_no_order(tmp_path: pathlib.Path) -> None:
    path = of_interbotix_2(tmp_path, states=motion(dim=7), actions=motion(dim=7))
    assert read(path).states.shape == (6, 7)


def test_other_files_begin_with_the_left_arm_and_say_so(tmp_path: pathlib.Path) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5")
    episode = read(path)
    np.testing.assert_array_equal(episode.states, motion())
    assert "The left arm is taken to come first (--arm_order)." in episode.facts.assumed
    np.testing.assert_array_equal(read(path, arm_order="right_first").states, np.roll(motion(), 7, axis=1))


def test_cameras_of_interbotix_2_have_the_names_of_aloha(tmp_path: pathlib.Path) -> None:
    path = of_interbotix_2(tmp_path)
    episode = read(path, arm_order="right_first")
    assert list(episode.cameras) == ["cam_high", "cam_left_wrist", "cam_right_wrist"]
    np.testing.assert_array_equal(episode.cameras["cam_left_wrist"](2), PICTURE[2])
    assert "Its camera camera_wrist_left is ALOHA's cam_left_wrist." in episode.facts.said


def test_cameras_that_are_asked_for_by_their_recorded_names_keep_them(tmp_path: pathlib.Path) -> None:
    config = TrainConfig(
        recordings=RecordingsConfig(arm_order="right_first"), pretrain=PretrainConfig(episode_cameras=INTERBOTIX_2)
    )
    (episode,) = read_episodes(of_interbotix_2(tmp_path), config)
    assert tuple(episode.cameras) == INTERBOTIX_2


def test_a_camera_that_has_the_name_of_aloha_too_is_not_renamed(tmp_path: pathlib.Path) -> None:
    images = {"camera_high": PICTURE, "cam_high": PICTURE[::-1]}
    episode = read(write_aloha(tmp_path / "episode_0.hdf5", images=images), arm_order="left_first")
    assert sorted(episode.cameras) == ["cam_high", "camera_high"]
    np.testing.assert_array_equal(episode.cameras["cam_high"](0), PICTURE[-1])


# The tests below are about units.


def broken_grippers(motor: np.ndarray) -> np.ndarray:
    """Returns what Interbotix' ALOHA 2.0 recorder writes for a motor's angle, rad: its formula takes it for meters."""
    return (motor - 0.0440) / (0.0579 - 0.0440)


def test_grippers_of_interbotix_2_are_repaired(tmp_path: pathlib.Path) -> None:
    """Closed is 0.6197 rad, which that recorder writes as 41.4, and open is 1.6214 rad, written as 113.5."""
    states = motion()
    states[:, [6, 13]] = broken_grippers(np.linspace(0.6197, 1.6214, 6))[:, None]
    assert states[0, 6] == pytest.approx(41.4, abs=0.1) and states[-1, 6] == pytest.approx(113.5, abs=0.1)
    path = of_interbotix_2(tmp_path, states=states)
    with pytest.raises(
        UnansweredQuestion, match="41.42..113.5 in place of 0..1.*set --state_gripper_unit interbotix_2"
    ):
        read(path, arm_order="right_first")
    robot = RobotConfig(gripper_convention="aloha_vx300s")
    recordings = RecordingsConfig(arm_order="right_first", state_gripper_unit="interbotix_2")
    (episode,) = read_episodes(path, TrainConfig(robot=robot, recordings=recordings))
    openings = convention_of(robot).state_opening_from_motor(np.linspace(0.6197, 1.6214, 6))
    np.testing.assert_allclose(episode.states[:, 6], openings, atol=1e-4)
    np.testing.assert_allclose(episode.states[[0, -1], 13], [0.0, 1.0], atol=1e-3)
    np.testing.assert_array_equal(episode.actions[:, 6], (motion() + 0.01)[:, 13])


def test_one_broken_gripper_is_enough_for_the_question(tmp_path: pathlib.Path) -> None:
    for dim, index in ((7, 6), (14, 6), (14, 13)):
        states = motion(dim=dim)
        states[:, index] = 41.5
        with pytest.raises(UnansweredQuestion, match=r"41\.5\.\.41\.5 in place of 0\.\.1.*--state_gripper_unit"):
            read(write_aloha(tmp_path / "episode_0.hdf5", states=states, actions=motion(dim=dim)))


@pytest.mark.parametrize(
    "flags", [{"joint_unit": "deg"}, {"arm_order": "right_first"}, {"action_gripper_unit": "percent"}]
)
def test_flags_about_arms_are_refused_for_other_robots(tmp_path: pathlib.Path, flags: dict[str, str]) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5", states=motion(dim=8))
    assert "States have 8 dimensions and actions 14, which are not" in " ".join(read(path).facts.assumed)
    with pytest.raises(
        EpisodesError, match=f"--{next(iter(flags))} must be for states and actions of 7 or 14, got 8 and"
    ):
        read(path, **flags)


def test_both_questions_are_asked_at_once(tmp_path: pathlib.Path) -> None:
    states = motion()
    states[:, [6, 13]] = 60.0
    with pytest.raises(UnansweredQuestion, match="--arm_order right_first.*--state_gripper_unit interbotix_2"):
        read(of_interbotix_2(tmp_path, states=states))


def test_the_repair_of_grippers_that_are_not_broken_is_refused(tmp_path: pathlib.Path) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5")
    with pytest.raises(
        EpisodesError, match=r"about 41\.\.113 .*, got 0\.1\.\.0\.9 in .*episode_0\.hdf5; leave the flag"
    ):
        read(path, state_gripper_unit="interbotix_2")


def test_degrees_and_millimeters_are_converted_by_flags(tmp_path: pathlib.Path) -> None:
    states = np.degrees(motion().astype(float))
    states[:, 6::7] = 1000 * (0.01844 + motion()[:, 6::7] * 0.03956)
    actions = np.degrees(motion().astype(float))
    actions[:, 6::7] = 100 * motion()[:, 6::7]
    path = write_aloha(tmp_path / "episode_0.hdf5", states=states, actions=actions)
    episode = read(path, joint_unit="deg", state_gripper_unit="finger_mm", action_gripper_unit="percent")
    np.testing.assert_allclose(episode.states, motion(), atol=1e-5)
    np.testing.assert_allclose(episode.actions, motion(), atol=1e-5)
    assert any("Joints are taken to be in deg" in sentence for sentence in episode.facts.assumed)


# The tests below are about what is not used.


def write_mobile(file: h5py.File) -> None:
    file["base_action"] = np.full((6, 2), 0.2)
    file["observations/qvel"] = motion()
    file["observations/effort"] = motion()
    file["compress_len"] = np.zeros((1, 6))
    file["observations/images_depth/cam_high"] = np.zeros((6, 8, 10), np.uint16)


def test_what_mobile_aloha_adds_is_named_as_unused(tmp_path: pathlib.Path) -> None:
    episode = read(write_aloha(tmp_path / "episode_0.hdf5", more=write_mobile))
    assert sorted(episode.facts.unused) == [
        "base_action [6, 2], velocities of a mobile base",
        "compress_len [1, 6], lengths of the compressed images",
        "observations/effort [6, 14], efforts of the motors",
        "observations/images_depth/cam_high [6, 8, 10], distances",
        "observations/qvel [6, 14], velocities",
    ]
    assert episode.facts.format == "HDF5 of Mobile ALOHA, or Interbotix' ALOHA 1.0 recorder"


@pytest.mark.parametrize(("state_dim", "action_dim"), [(14, 16), (16, 14), (16, 16)])
def test_the_base_is_cut_from_states_and_actions(tmp_path: pathlib.Path, state_dim: int, action_dim: int) -> None:
    both = np.concatenate([motion(), np.full((6, 2), 0.2, np.float32)], axis=1)
    path = write_aloha(
        tmp_path / "episode_0.hdf5", states=both[:, :state_dim], actions=both[:, :action_dim], more=write_mobile
    )
    episode = read(path)
    np.testing.assert_array_equal(episode.states, motion())
    np.testing.assert_array_equal(episode.actions, motion())
    unused = {f"{name} dimensions 15 and 16, velocities of a mobile base" for name in ("observations/qpos", "action")}
    assert len(unused & set(episode.facts.unused)) == [state_dim, action_dim].count(16)


def test_numbers_of_any_type_are_read(tmp_path: pathlib.Path) -> None:
    for kind in ("float64", ">f8", ">f4", "float16"):
        path = write_aloha(tmp_path / "episode_0.hdf5", states=motion().astype(kind), actions=motion().astype(kind))
        episode = read(path)
        assert episode.states.dtype == episode.actions.dtype == np.float32
        np.testing.assert_allclose(episode.states, motion(), atol=1e-3)
