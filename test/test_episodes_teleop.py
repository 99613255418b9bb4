"""Tests demonstrations that `ros2 bag` recorded, which are written here message by message."""

from __future__ import annotations

import dataclasses
import io
import pathlib

import numpy as np
import pytest
from PIL import Image
from rosbags.rosbag2 import StoragePlugin

from chunk_ppo_ros.config import EnvConfig, RobotConfig, RunConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bags.bag_messages import opened
from chunk_ppo_ros.data.bags.single_messages import read_message
from chunk_ppo_ros.data.bags.track import Track
from chunk_ppo_ros.data.readers import read_episodes
from support.teleop_bags import COMPRESSED, HIGH, IMAGE, LOW, MS, RAW, START, Recording

CONFIG = TrainConfig()  # 50 Hz, openpi's grippers, images at most 0.1 s old


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])
def test_a_demonstration(tmp_path: pathlib.Path, storage: StoragePlugin) -> None:
    """Joint states are of 0 ..

    300 ms, and images come from 55 ms on at about 30 Hz. So the steps are at 55, 75 .. 295 ms.
    """
    recording = Recording(tmp_path / "one", storage=storage)
    recording.say("prompt", "stack the cups")
    recording.say("success", "true")
    recording.arms(0, 300)
    recording.images(HIGH, range(55, 300, 33))  # 55, 88, 121, 154 ..
    recording.close()
    (episode,) = read_episodes(tmp_path, CONFIG)
    assert (len(episode), episode.rate, episode.prompt, episode.success) == (13, 50.0, "stack the cups", True)
    times = 0.055 + 0.02 * np.arange(13)
    np.testing.assert_allclose(episode.states[:, 0], times, atol=2e-6)
    np.testing.assert_allclose(episode.states[:, 7], -times, atol=2e-6)
    np.testing.assert_allclose(episode.actions[:, [0, 7]], np.stack([times + 1, -times - 1], 1), atol=2e-6)
    np.testing.assert_allclose(episode.states[:, 6], 0.5, atol=1e-6)
    np.testing.assert_allclose(episode.actions[:, 13], 0.5, atol=1e-6)
    # The newest image at 95 ms is that of 88 ms, and at 135 ms that of 121 ms.
    for step, red in ((2, 8), (4, 12), (0, 5)):
        np.testing.assert_array_equal(episode.cameras["cam_high"](step), np.full((2, 4, 3), [red, 0, 7]))


def test_each_bag_is_an_episode(tmp_path: pathlib.Path) -> None:
    for number, name in enumerate(("first", "second")):
        recording = Recording(tmp_path / name)
        recording.arms(0, 100 + 20 * number)
        recording.close()
    config = TrainConfig(run=RunConfig(prompt="pour"), robot=RobotConfig(gripper_convention="interbotix"))
    read = read_episodes(tmp_path, config)
    assert [len(episode) for episode in read] == [6, 7]
    assert [(episode.prompt, episode.success, dict(episode.cameras)) for episode in read] == [("pour", None, {})] * 2
    # The openings are (0.03822 - 0.0440) / (0.0579 - 0.0440) and (-0.18795 + 0.0552) / (0.8298 + 0.0552).
    np.testing.assert_allclose([read[0].states[0, 6], read[0].actions[0, 6]], [-0.41583, -0.15], atol=1e-4)


def test_compressed_images(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    Image.new("RGB", (16, 8), (200, 0, 50)).save(buffer := io.BytesIO(), "JPEG", quality=95)
    content = np.frombuffer(buffer.getvalue(), np.uint8)
    recording.write(f"{LOW}/compressed", COMPRESSED, 0, format="rgb8; jpeg compressed bgr8", data=content)
    recording.write(f"{HIGH}/compressed", COMPRESSED, 0, format="rgb8; jpeg compressed bgr8", data=content[:100])
    recording.close()
    (episode,) = read_episodes(tmp_path / "one", CONFIG)
    image = episode.cameras["cam_low"](3)
    assert image.shape == (8, 16, 3) and np.abs(image.astype(int) - [200, 0, 50]).max() <= 3
    with pytest.raises(EpisodesError, match=r"whole JPEG or PNG .* 100 bytes in /lab/cam_high/.*, step 3 of .*one"):
        episode.cameras["cam_high"](3)


@pytest.mark.parametrize(
    ("recorded", "read"),
    [
        ((RAW,), RAW),
        ((RAW, HIGH), HIGH),
        ((f"{HIGH}/compressed", RAW), RAW),
        ((f"{RAW}/compressed", f"{HIGH}/compressed"), f"{HIGH}/compressed"),
    ],
)
def test_a_camera_is_read_from_one_of_its_topics(tmp_path: pathlib.Path, recorded: tuple[str, ...], read: str) -> None:
    """The topic that robot.image_topic names first is preferred, and raw images are."""
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    for number, topic in enumerate(recorded):
        gray = np.full((2, 4, 3), 50 * number, np.uint8)
        if topic.endswith("/compressed"):
            Image.fromarray(gray).save(buffer := io.BytesIO(), "PNG")
            recording.write(topic, COMPRESSED, 0, format="png", data=np.frombuffer(buffer.getvalue(), np.uint8))
        else:
            fields = {"height": 2, "width": 4, "encoding": "bgr8", "is_bigendian": 0, "step": 12}
            recording.write(topic, IMAGE, 0, **fields, data=gray.reshape(-1))
    recording.close()
    (episode,) = read_episodes(tmp_path / "one", CONFIG)
    assert list(episode.cameras) == ["cam_high"]
    np.testing.assert_array_equal(episode.cameras["cam_high"](3), np.full((2, 4, 3), 50 * recorded.index(read)))


def test_a_camera_that_paused_is_refused_where_it_is_needed(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 500)
    recording.images(HIGH, range(0, 60, 30))
    recording.images(HIGH, range(300, 520, 30))
    recording.close()
    (episode,) = read_episodes(tmp_path / "one", CONFIG)
    read = episode.cameras["cam_high"]
    assert read(6)[0, 0, 0] == 3  # at 120 ms, 90 ms old
    with pytest.raises(EpisodesError, match=r"at most 0\.1 s old .*, got 0\.11 s on /lab/cam_high/.*, step 7 of .*one"):
        read(7)
    (patient,) = read_episodes(tmp_path / "one", TrainConfig(env=EnvConfig(sync_tolerance=0.3)))
    assert patient.cameras["cam_high"](14)[0, 0, 0] == 3  # at 280 ms


def test_images_of_an_unknown_encoding_are_refused(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    fields = {"height": 1, "width": 1, "encoding": "32FC1", "is_bigendian": 0, "step": 4}
    recording.write(HIGH, IMAGE, 0, **fields, data=np.zeros(4, np.uint8))
    recording.close()
    (episode,) = read_episodes(tmp_path / "one", CONFIG)
    with pytest.raises(EpisodesError, match="encoding must be one of .*, got '32FC1'.* on /lab/cam_high"):
        episode.cameras["cam_high"](0)


def test_a_demonstration_without_an_arm_is_refused(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100, parts=("leader",))
    recording.close()
    text = r"got nothing on follower_left/joint_states, follower_right/joint_states and the topics /lab/leader_left"
    with pytest.raises(EpisodesError, match=text):
        read_episodes(tmp_path / "one", CONFIG)


def test_sensors_of_different_times_are_refused(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.images(HIGH, range(300, 400, 30))
    recording.close()
    with pytest.raises(EpisodesError, match=r"recorded at the same time, .* check the clocks"):
        read_episodes(tmp_path / "one", CONFIG)


def test_an_outcome_is_true_or_false(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.say("success", "yes")
    recording.close()
    with pytest.raises(EpisodesError, match=r"success must be true or false, got 'yes' in .*metadata\.yaml"):
        read_episodes(tmp_path / "one", CONFIG)
    metadata = tmp_path / "one" / "metadata.yaml"
    metadata.write_text(
        metadata.read_text().replace("'yes'", "false").replace(": yes", ": false")
    )  # as rosbag2 writes it
    assert read_episodes(tmp_path / "one", CONFIG)[0].success is False


def test_of_raw_and_compressed_images_of_a_camera_one_kind_is_read(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.images(HIGH, range(0, 100, 20))
    content = np.zeros(7, np.uint8)  # This is no image, and is not read.
    recording.write(f"{HIGH}/compressed", COMPRESSED, 90, format="rgb8; jpeg compressed bgr8", data=content)
    recording.close()
    (episode,) = read_episodes(tmp_path / "one", CONFIG)
    assert episode.cameras["cam_high"](5)[0, 0, 0] == 8  # at 100 ms, that of 80 ms


def test_a_message_that_is_gone_from_its_bag_is_told(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.images(HIGH, range(0, 60, 30))
    recording.close()
    bags = (tmp_path / "one",)
    with opened(bags) as reader:
        first, second = reader.messages([HIGH])
    assert read_message(bags, first.channel, second.place, START + 30 * MS).width == 4
    text = r"recording must be whole, got .*one\.mcap: the message of .* with the stamp \d+ ns is gone; copy"
    with pytest.raises(EpisodesError, match=text):
        read_message(bags, first.channel, second.place, START + 31 * MS)
    beyond = dataclasses.replace(second.place, place=dataclasses.replace(second.place.place, start=1 << 20))
    with pytest.raises(EpisodesError, match=r"recording must be whole, got .*one\.mcap: the message is gone; copy"):
        read_message(bags, first.channel, beyond, START + 30 * MS)


def test_a_track_has_a_state_near_each_step() -> None:
    track = Track.of([(1.0, np.ones(7)), (1.2, np.full(7, 3.0))])
    np.testing.assert_allclose(
        track.at(np.array([0.95, 1.05, 1.25]), ""), [np.ones(7), np.full(7, 1.5), np.full(7, 3.0)]
    )
    with pytest.raises(EpisodesError, match=r"within 0.1 s of each step, got 0.15 s for the left arm"):
        track.at(np.array([1.35]), "the left arm")
