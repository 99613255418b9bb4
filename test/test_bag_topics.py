"""Tests which topics of a demonstration are decoded, which are named as unused, and which arms are refused."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.readers import iterate_episodes, read_episodes
from support.teleop_bags import HIGH, IMAGE, RAW, Recording

CONFIG = TrainConfig()
STORAGES = pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])


def read_one(path: pathlib.Path, config: TrainConfig = CONFIG) -> Episode:
    (episode,) = read_episodes(path, config)
    return episode


@STORAGES
@pytest.mark.parametrize(
    ("type_name", "definition", "encoding"),
    [
        ("lab_msgs/msg/Incomplete", "lab_msgs/Missing inner\nfloat64 x", "cdr"),
        ("lab_msgs/msg/Damaged", "this is { no definition ]", "cdr"),
        ("lab_msgs/msg/Hash", "float64 x", "cdr"),  # Its hash is another one.
        ("lab_msgs/msg/Proto", "float64 x", "protobuf"),
        ("not a type", "float64 x", "cdr"),
    ],
)
def test_topics_that_are_not_needed_are_not_decoded(
    tmp_path: pathlib.Path, storage: StoragePlugin, type_name: str, definition: str, encoding: str
) -> None:
    recording = Recording(tmp_path / "one", storage=storage)
    recording.foreign("/lab/other", type_name, definition=definition, encoding=encoding)
    recording.arms(0, 100)
    recording.images(HIGH, range(0, 120, 30))
    recording.close()
    episode = read_one(tmp_path)
    assert len(episode) == 6 and episode.cameras["cam_high"](5)[0, 0, 0] == 9
    assert episode.facts.unused == (f"/lab/other, {type_name}",)


def test_a_definition_in_an_unknown_language_does_not_matter_elsewhere(tmp_path: pathlib.Path) -> None:
    """Files of MCAP may hold schemas of any language beside those of ROS."""
    recording = Recording(tmp_path / "one")
    recording.foreign("/lab/other", "lab_msgs/msg/Other", definition="float64 x")
    recording.arms(0, 100)
    recording.close()
    (file,) = (tmp_path / "one").glob("*.mcap")
    content = file.read_bytes()
    name = len("lab_msgs/msg/Other").to_bytes(4, "little") + b"lab_msgs/msg/Other" + (7).to_bytes(4, "little")
    assert content.count(name + b"ros2msg") == 2  # in the data and in the summary
    file.write_bytes(content.replace(name + b"ros2msg", name + b"protobu"))
    assert len(read_one(tmp_path)) == 6


@STORAGES
def test_the_type_of_a_needed_topic_must_be_that_of_its_definition(
    tmp_path: pathlib.Path, storage: StoragePlugin
) -> None:
    recording = Recording(tmp_path / "one", storage=storage)
    recording.arms(0, 100, parts=("leader",))
    recording.arms(0, 100, parts=("follower",), sides=("left",))
    recording.foreign("/lab/follower_right/joint_states", "lab_msgs/msg/Other", definition="float64 x")
    recording.close()
    with pytest.raises(EpisodesError, match=r"must be sensor_msgs/msg/JointState, got lab_msgs/msg/Other on /lab/foll"):
        read_episodes(tmp_path, CONFIG)


def test_depth_cameras_and_other_topics_are_named_as_unused(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    fields = {"height": 1, "width": 1, "encoding": "16UC1", "is_bigendian": 0, "step": 2, "data": np.zeros(2, np.uint8)}
    recording.write("/lab/cam_high/camera/depth/image_rect_raw", IMAGE, 0, **fields)
    recording.foreign("/tf", "tf2_msgs/msg/TFMessage", definition="float64 x")
    recording.close()
    episode = read_one(tmp_path)
    assert episode.cameras == {}
    assert episode.facts.unused == (
        "/lab/cam_high/camera/depth/image_rect_raw, sensor_msgs/msg/Image",
        "/tf, tf2_msgs/msg/TFMessage",
    )


def test_what_a_demonstration_says_itself(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 1000)
    recording.images(HIGH, range(0, 1020, 30))
    recording.close()
    episode = read_one(tmp_path)
    facts = episode.facts
    assert facts.state_names[0] == "left waist" and facts.action_names[13] == "right gripper"
    assert "/lab/follower_left/joint_states has 101 messages at 100 Hz" in facts.said
    assert f"{HIGH} has 34 messages at 33.3 Hz, 4 x 2 bgr8" in facts.said
    assert "control steps follow each other at 50 Hz (robot.control_rate)" in facts.assumed
    assert episode.times is not None and np.allclose(np.diff(episode.times), 0.02, atol=1e-6)


def test_two_robots_in_one_bag_are_refused(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.namespace = "/other"
    recording.arms(0, 100)
    recording.close()
    text = r"of one robot, got the follower left arm on /lab/follower_left/joint_states and /other/follower_left/"
    with pytest.raises(EpisodesError, match=text):
        read_episodes(tmp_path, CONFIG)


def test_two_cameras_of_one_name_are_refused(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.images(RAW, range(0, 100, 30))
    recording.images(RAW.replace("/lab/", "/other/"), range(0, 100, 30))
    recording.close()
    with pytest.raises(EpisodesError, match=r"one topic, got /lab/cam_high/.* and /other/cam_high/.* for cam_high in"):
        read_episodes(tmp_path, CONFIG)


def test_commands_do_not_take_the_place_of_leaders(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100, parts=("follower",))
    recording.foreign(
        "/lab/follower_left/commands/joint_group",
        "interbotix_xs_msgs/msg/JointGroupCommand",
        definition="string name\nfloat32[] cmd",
    )
    recording.close()
    text = (
        r"got nothing on leader_left/joint_states, leader_right/joint_states and the topics .* in .*one; the commands "
        r"on /lab/follower_left/commands/joint_group are not read in place of the leaders; record these topics"
    )
    with pytest.raises(EpisodesError, match=text):
        read_episodes(tmp_path, CONFIG)


def test_one_arm_is_read_for_a_policy_of_one_arm(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100, sides=("right",))
    recording.close()
    episode = read_one(tmp_path, dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, action_dim=7)))
    assert episode.states.shape == episode.actions.shape == (6, 7)
    np.testing.assert_allclose(episode.states[:, 0], -0.02 * np.arange(6), atol=2e-6)
    assert episode.facts.state_names[0] == "right waist"
    with pytest.raises(EpisodesError, match="got nothing on follower_left/joint_states, leader_left/joint_states and"):
        read_episodes(tmp_path, CONFIG)


def test_a_joint_that_is_not_finite_is_named(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    nothing = np.zeros(0)
    names = ["waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper"]
    position = np.array([0.0, 0.0, np.nan, 0.0, 0.0, 0.0, 0.0])
    fields = {"name": names, "position": position, "velocity": nothing, "effort": nothing}
    recording.write("/lab/leader_left/joint_states", "sensor_msgs/msg/JointState", 110, **fields)
    recording.close()
    with pytest.raises(EpisodesError, match=r"joint elbow must be finite, got nan.* on /lab/leader_left/joint_states"):
        read_episodes(tmp_path, CONFIG)


def test_a_recording_of_a_policy_among_demonstrations_is_refused(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.close()
    recording = Recording(tmp_path / "two")
    recording.arms(0, 100)
    recording.foreign("/lab/action_chunk", "chunk_ppo_msgs/msg/ActionChunk", definition="float64 x")
    recording.close()
    with pytest.raises(EpisodesError, match=r"must have no action_chunk, got a recording of recorder_node in .*two"):
        list(iterate_episodes(tmp_path, CONFIG))
