"""Tests that the names of a LeRobot dataset put dimensions in the robot's order, and what is asked without them."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.config import RecordingsConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.readers import read_episodes
from support.lerobot_sets import CAMERA, JOINTS, LEFT, RIGHT, LeRobotSet
from support.recordings import numbers

NUMBERED = [f"{side}_arm_joint_{n}" for side in ("right", "left") for n in (1, 2, 3, 4, 5, 6)]
NUMBERED = [*NUMBERED[:6], "right_gripper", *NUMBERED[6:], "left_gripper"]
FROM_ZERO = [f"{side}/joint{n}" for side in ("right", "left") for n in range(6)]
FROM_ZERO = [*FROM_ZERO[:6], "right/gripper", *FROM_ZERO[6:], "left/gripper"]
RECORDED = numbers(1)[0]
SWAPPED = np.roll(RECORDED, 7)


def read(folder: pathlib.Path, data: LeRobotSet, **recordings: Any) -> Episode:
    """Writes a dataset and returns its first episode."""
    return read_episodes(data.write(folder), TrainConfig(recordings=RecordingsConfig(**recordings)))[0]


def unnamed(**changes: Any) -> LeRobotSet:
    return LeRobotSet(**{"camera": "", **changes})


@pytest.mark.parametrize(
    "names",
    [
        RIGHT + LEFT,
        [RIGHT + LEFT],
        {"motors": RIGHT + LEFT},
        {"axes": [f"{name}.pos" for name in RIGHT + LEFT]},
        {"right": list(JOINTS), "left": list(JOINTS)},
        {name: place for place, name in enumerate(RIGHT + LEFT)},
        [name.replace("_", " ").title() for name in RIGHT + LEFT],
        [f"follower_{name}_rad" for name in RIGHT + LEFT],
        NUMBERED,
        FROM_ZERO,
    ],
)
def test_the_right_arm_that_the_names_put_first_is_taken_second(tmp_path: pathlib.Path, names: Any) -> None:
    episode = read(tmp_path, unnamed().name(names))
    np.testing.assert_allclose(episode.states[0], SWAPPED, atol=1e-6)
    np.testing.assert_allclose(episode.actions[0], SWAPPED + 1, atol=1e-6)
    assert "the names of action put the right arm first" in episode.facts.said
    assert any("openpi's converter" in sentence for sentence in episode.facts.assumed)


def test_names_of_any_order_are_put_in_the_robots(tmp_path: pathlib.Path) -> None:
    order = np.random.default_rng(3).permutation(14)
    names = np.array(LEFT + RIGHT)
    episode = read(tmp_path, unnamed().name(names[order].tolist(), LEFT + RIGHT))
    np.testing.assert_array_equal(episode.states[0][order], RECORDED)
    np.testing.assert_array_equal(episode.actions[0], RECORDED + 1)
    assert episode.facts.state_names == tuple(names[order]) and episode.facts.action_names == tuple(names)


@pytest.mark.parametrize("names", [LEFT + RIGHT, {"motors": LEFT + RIGHT}])
def test_the_left_arm_that_the_names_put_first_stays_first(tmp_path: pathlib.Path, names: Any) -> None:
    episode = read(tmp_path, unnamed().name(names), arm_order="left_first")
    np.testing.assert_array_equal(episode.states[0], RECORDED)
    assert "the names of observation.state put the left arm first" in episode.facts.said
    assert not any("arm" in sentence for sentence in episode.facts.assumed)


def test_an_order_of_arms_against_the_names_is_an_error(tmp_path: pathlib.Path) -> None:
    folder = unnamed().name(RIGHT + LEFT).write(tmp_path)
    with pytest.raises(EpisodesError, match=r"--arm_order must be what the names of observation\.state say, got"):
        read_episodes(folder, TrainConfig(recordings=RecordingsConfig(arm_order="left_first")))
    insisted = RecordingsConfig(arm_order="left_first", insist=("arm_names",))
    np.testing.assert_array_equal(read_episodes(folder, TrainConfig(recordings=insisted))[0].states[0], RECORDED)
    agreed = RecordingsConfig(arm_order="right_first")
    np.testing.assert_array_equal(read_episodes(folder, TrainConfig(recordings=agreed))[0].states[0], SWAPPED)


@pytest.mark.parametrize("names", [None, [], ["state"], [f"motor_{n}" for n in range(14)], [str(n) for n in range(14)]])
def test_without_names_the_flag_counts(tmp_path: pathlib.Path, names: Any) -> None:
    assumed = read(tmp_path / "a", unnamed().name(names))
    np.testing.assert_array_equal(assumed.states[0], RECORDED)
    assert (
        "action has no names that tell the arms, so it is taken as ALOHA's with the left arm first (--arm_order)"
        in (assumed.facts.assumed)
    )
    told = read(tmp_path / "b", unnamed().name(names), arm_order="right_first")
    np.testing.assert_array_equal(told.states[0], SWAPPED)
    np.testing.assert_array_equal(told.actions[0], SWAPPED + 1)


def test_names_of_one_vector_alone_do_not_order_the_other(tmp_path: pathlib.Path) -> None:
    data = unnamed().name(RIGHT + LEFT)
    data.features["action"]["names"] = None
    folder = data.write(tmp_path)
    with pytest.raises(UnansweredQuestion, match=r"action must say which arm comes first.*--arm_order right_first"):
        read_episodes(folder, TrainConfig())
    told = TrainConfig(recordings=RecordingsConfig(arm_order="right_first"))
    np.testing.assert_allclose(read_episodes(folder, told)[0].actions[0], SWAPPED + 1, atol=1e-6)


def test_the_cameras_of_a_recorder_that_begins_with_the_right_arm_ask_for_the_order(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet(camera="image")
    data.features["observation.images.camera_high"] = data.features.pop(CAMERA)
    data.rows["observation.images.camera_high"] = data.rows.pop(CAMERA)
    with pytest.raises(UnansweredQuestion, match=r"cameras camera_high of Interbotix's recorder.*--arm_order"):
        read(tmp_path / "a", data)
    told = read(tmp_path / "b", data, arm_order="right_first")
    np.testing.assert_array_equal(told.states[0], SWAPPED)


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ([*LEFT, *RIGHT[:6], "right_thumb"], r"those of whole arms, got no gripper of the right arm among"),
        ([*LEFT, *RIGHT[:6], "left_waist"], r"different from each other, got left_waist twice"),
        ([*LEFT, *RIGHT[:6], "left_waist.pos"], r"got left_waist and left_waist\.pos for the same dimension"),
        ([*LEFT, *RIGHT[:6]], r"one for each of the 14 dimensions, got 13"),
        ([*LEFT, *JOINTS], r"incomplete arms|whole arms"),
    ],
)
def test_names_that_are_incomplete_or_doubled_are_refused(tmp_path: pathlib.Path, names: list[str], error: str) -> None:
    with pytest.raises(EpisodesError, match=error):
        read(tmp_path, unnamed().name(names))


@pytest.mark.parametrize("size", [7, 14])
def test_names_of_another_robot_with_as_many_joints_are_asked_about(tmp_path: pathlib.Path, size: int) -> None:
    names = [f"finger_{letter}" for letter in "abcdefghijklmn"[:size]]
    folder = unnamed(size=(size, size)).name(names).write(tmp_path)
    with pytest.raises(UnansweredQuestion, match=r"names of observation\.state must be ALOHA's .*--insist joint_names"):
        read_episodes(folder, TrainConfig())
    insisted = read_episodes(folder, TrainConfig(recordings=RecordingsConfig(insist=("joint_names",))))[0]
    np.testing.assert_array_equal(insisted.states[0], numbers(1, size)[0])


def test_states_and_actions_of_different_arms_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(EpisodesError, match=r"must have names of the same arms"):
        read(tmp_path / "a", unnamed(size=(14, 7)).name(LEFT + RIGHT, LEFT))
    with pytest.raises(EpisodesError, match=r"must have names of the same arms"):
        read(tmp_path / "b", unnamed(size=(14, 8)).name(LEFT + RIGHT, [f"hand_{letter}" for letter in "abcdefgh"]))


def test_the_base_and_further_joints_beside_the_arms_are_named_as_unused(tmp_path: pathlib.Path) -> None:
    names = ["base_vx", *RIGHT[:2], "right_shoulder_shadow", *RIGHT[2:], "base_wz", *LEFT]
    episode = read(tmp_path, unnamed(size=(17, 14)).name(names, LEFT + RIGHT))
    recorded = dict(zip(names, numbers(1, 17)[0], strict=True))
    np.testing.assert_array_equal(episode.states[0], [recorded[name] for name in LEFT + RIGHT])
    assert episode.facts.unused == tuple(
        f"observation.state, dimension {name}" for name in ("base_vx", "right_shoulder_shadow", "base_wz")
    )


@pytest.mark.parametrize("size", [16, 18])
def test_more_dimensions_than_two_arms_have_must_be_named(tmp_path: pathlib.Path, size: int) -> None:
    folder = unnamed(size=(size, size)).write(tmp_path)
    with pytest.raises(UnansweredQuestion, match=rf"observation\.state of {size} dimensions must have names"):
        read_episodes(folder, TrainConfig())
    insisted = read_episodes(folder, TrainConfig(recordings=RecordingsConfig(insist=("joint_names",))))[0]
    assert insisted.states.shape == (3, size)


@pytest.mark.parametrize("sizes", [(6, 6), (7, 7), (8, 7)])
def test_fewer_dimensions_without_names_are_taken_as_they_stand(tmp_path: pathlib.Path, sizes: tuple[int, int]) -> None:
    episode = read(tmp_path, unnamed(size=sizes))
    np.testing.assert_array_equal(episode.states, numbers(5, sizes[0])[:3])
    np.testing.assert_array_equal(episode.actions, numbers(5, sizes[1])[:3] + 1)
    assert any("taken as they stand" in sentence for sentence in episode.facts.assumed)


def test_names_of_the_hand_of_another_robot(tmp_path: pathlib.Path) -> None:
    names = ["x", "y", "z", "rx", "ry", "rz", "rw", "gripper"]
    episode = read(tmp_path, unnamed(size=(8, 6)).name(names, names[:6]))
    np.testing.assert_array_equal(episode.states[0], numbers(1, 8)[0])


def test_one_arm_with_names(tmp_path: pathlib.Path) -> None:
    names = ["gripper", *JOINTS[:6]]
    episode = read(tmp_path, unnamed(size=(7, 7)).name(names))
    np.testing.assert_array_equal(episode.states[0], np.roll(numbers(1, 7)[0], -1))


def test_openpis_names_of_states_and_actions(tmp_path: pathlib.Path) -> None:
    data = unnamed(size=(8, 7))
    for old, new in (("observation.state", "state"), ("action", "actions")):
        data.rows[new], data.features[new] = data.rows.pop(old), data.features.pop(old)
    data.features["state"]["names"] = ["state"]
    assert read(tmp_path, data).states.shape == (3, 8)


def test_units_are_those_of_the_flags(tmp_path: pathlib.Path) -> None:
    episode = read(tmp_path, unnamed().name(RIGHT + LEFT), joint_unit="deg", state_gripper_unit="percent")
    expected = np.radians(SWAPPED)
    expected[[6, 13]] = SWAPPED[[6, 13]] / 100
    np.testing.assert_allclose(episode.states[0], expected, atol=1e-6)
    with pytest.raises(UnansweredQuestion, match=r"got names in degrees \(left_waist_deg\).*--joint_unit deg"):
        read(tmp_path / "deg", unnamed().name([f"{name}_deg" for name in LEFT + RIGHT]))


@pytest.mark.parametrize("names", [False, 3, [1, 2], {"motors": 1.5}])
def test_names_that_are_no_texts_are_refused(tmp_path: pathlib.Path, names: Any) -> None:
    with pytest.raises(EpisodesError, match=r"names of observation\.state must be texts"):
        read(tmp_path, unnamed().name(names))


def test_names_that_are_insisted_on_still_ask_for_the_order_where_they_put_the_right_arm_first(
    tmp_path: pathlib.Path,
) -> None:
    names = [f"{side}_arm_{number}" for side in ("right", "left") for number in range(7)]
    data = unnamed().name(names)
    with pytest.raises(UnansweredQuestion, match="begin with the right arm.*--arm_order right_first"):
        read(tmp_path / "asked", data, insist=("joint_names",))
    told = read(tmp_path / "told", data, insist=("joint_names",), arm_order="right_first")
    np.testing.assert_allclose(told.states[0], SWAPPED, atol=1e-6)
