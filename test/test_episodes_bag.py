"""Tests episodes of recordings, which are written here message by message as recorder_node writes them."""

from __future__ import annotations

import pathlib
import shutil

import numpy as np
import pytest
from chunk_ppo_msgs import msg

from chunk_ppo_ros.config import RecordingsConfig, RobotConfig, RunConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode, LeftOut
from chunk_ppo_ros.data.readers import iterate_episodes, read_episodes
from support.rollout_bags import H, Recording

CONFIG = TrainConfig()  # 50 Hz, openpi's grippers


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "bag"


def test_what_was_executed(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 2000)
    recording.chunk(0, 100)
    recording.chunk(1, 500, num_steps=2)  # cut short
    recording.chunk(2, 700, num_steps=0)  # refused
    recording.chunk(3, 1000, episode=1)
    recording.close()
    first, second = read_episodes(folder, CONFIG)
    np.testing.assert_array_equal(first.actions[:, 0], [0, 1, 2, 3, 100, 101])
    np.testing.assert_array_equal(second.actions[:, 13], [300, 301, 302, 303])
    # Steps begin 20 ms apart, and the last one begins 20 ms before the end. They are at 100, 120, 140, 160 and 500, 520
    # ms.
    waist = [0.1, 0.12, 0.14, 0.16, 0.5, 0.52]
    np.testing.assert_allclose(first.states[:, 0], waist, atol=1e-6)
    np.testing.assert_allclose(first.states[:, 7], np.negative(waist), atol=1e-6)
    np.testing.assert_allclose(first.states[:, [6, 13]], 0.5, atol=1e-6)
    assert (first.rate, first.prompt, first.states.dtype) == (50.0, "reach", np.float32)
    assert second.source.endswith(", run run, episode 1 of robot_0")


def test_what_the_policy_saw(folder: pathlib.Path) -> None:
    """Images are those of the chunks, at their first steps only. A camera that was masked once is left out."""
    recording = Recording(folder)
    recording.joints(0, 2000)
    recording.chunk(1, 100)
    recording.chunk(2, 500, num_steps=2)
    recording.chunk(3, 700, episode=1)
    recording.chunk(4, 900, episode=1, masked=True)
    recording.close()
    first, second = read_episodes(folder, CONFIG)
    assert first.image_steps is not None and first.image_steps.tolist() == [0, 4]
    assert list(first.cameras) == ["cam_high", "cam_left_wrist", "cam_right_wrist"]
    assert list(second.cameras) == ["cam_high", "cam_right_wrist"]
    for step, gray in ((4, 20), (0, 10)):
        for index, read in enumerate(first.cameras.values()):
            np.testing.assert_array_equal(read(step), np.full((2, 2, 3), gray + index))
    np.testing.assert_array_equal(second.cameras["cam_right_wrist"](4), np.full((2, 2, 3), 42))


def test_an_episode_is_a_success_where_one_of_its_chunks_is(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 2000)
    for number, episode in enumerate((0, 0, 1, 2)):
        recording.chunk(number, 100 + 300 * number, episode=episode)
    recording.outcome(0, 100)
    recording.outcome(1, 400, success=True)
    recording.outcome(2, 700, episode=1)
    recording.close()
    assert [episode.success for episode in read_episodes(folder, CONFIG)] == [True, False, None]


def test_an_episode_is_a_success_that_ended_as_one(folder: pathlib.Path) -> None:
    """An operator may say so when the outcomes of all chunks are published."""
    recording = Recording(folder)
    recording.joints(0, 2000)
    for number, outcome in enumerate((msg.EpisodeEvent.SUCCESS, msg.EpisodeEvent.FAILURE)):
        recording.chunk(number, 100 + 300 * number, episode=number)
        recording.outcome(number, 100 + 300 * number, episode=number)
        recording.ended(300 + 300 * number, episode=number, outcome=outcome)
    recording.close()
    assert [episode.success for episode in read_episodes(folder, CONFIG)] == [True, False]


def test_between_joint_states_the_state_is_interpolated(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 400, every_ms=33)  # as Interbotix's simulated driver
    recording.chunk(0, 100, end_ms=185)  # steps at 105, 125, 145 and 165 ms
    recording.close()
    (episode,) = read_episodes(folder, CONFIG)
    np.testing.assert_allclose(episode.states[:, 0], [0.105, 0.125, 0.145, 0.165], atol=1e-6)


@pytest.mark.parametrize(
    ("motor", "opening"),
    [
        # An older sim_node published -0.6213 + 0.5 * 2.1123 rad for half an opening. The finger is read there.
        (-0.6213 + 0.5 * 2.1123, 0.5),
        # By the linkage the finger is at 0.022 sin 0.4347 + sqrt(0.036^2 - (0.022 cos 0.4347)^2) = 0.039229 m.
        (0.4347, 0.52551),
    ],
)
def test_the_gripper_of_a_recording_is_read_from_its_motor(folder: pathlib.Path, motor: float, opening: float) -> None:
    recording = Recording(folder)
    recording.joints(0, 400, motor=motor)
    recording.chunk(0, 100)
    recording.close()
    (episode,) = read_episodes(folder, CONFIG)
    np.testing.assert_allclose(episode.states[:, [6, 13]], opening, atol=2e-5)


def test_grippers_of_the_other_convention(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 400)
    recording.chunk(0, 100)
    recording.close()
    config = TrainConfig(robot=RobotConfig(gripper_convention="interbotix"), run=RunConfig(prompt="other words"))
    (episode,) = read_episodes(folder, config)
    # The finger is at (0.03822 - 0.0440) / (0.0579 - 0.0440), which is closed further than Interbotix calls closed.
    np.testing.assert_allclose(episode.states[:, 6], -0.00578 / 0.0139, atol=1e-5)
    assert episode.prompt == "other words"


def test_two_robots_of_a_run_have_episodes_of_their_own(folder: pathlib.Path) -> None:
    """Both have an episode 0 with chunks of the same stamps. Their chunks, outcomes and joint states stay apart."""
    recording = Recording(folder)
    for robot, (number, offset) in enumerate(((0, 0.0), (5, 2.0))):
        recording.namespace, recording.sender = f"/arm_{robot}", f"robot_{robot}"
        recording.joints(0, 400, offset=offset)
        recording.chunk(number, 100)
        recording.outcome(number, 100, success=robot == 1)
    recording.close()
    first, second = read_episodes(folder, CONFIG)
    assert (first.success, second.success) == (False, True)
    np.testing.assert_array_equal(first.actions[:, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(second.actions[:, 0], [500, 501, 502, 503])
    np.testing.assert_allclose(first.states[:, 0], [0.1, 0.12, 0.14, 0.16], atol=1e-6)
    np.testing.assert_allclose(second.states[:, 7], [-2.1, -2.12, -2.14, -2.16], atol=1e-6)
    np.testing.assert_array_equal(second.cameras["cam_high"](0), np.full((2, 2, 3), 50))
    assert [episode.source.split(", ")[-1] for episode in (first, second)] == [
        "episode 0 of robot_0",
        "episode 0 of robot_1",
    ]


def test_the_joint_states_of_one_robot_may_be_in_another_namespace(folder: pathlib.Path) -> None:
    recording = Recording(folder, namespace="/drivers")
    recording.joints(0, 400)
    recording.namespace = "/policy"
    recording.chunk(0, 100)
    recording.close()
    (episode,) = read_episodes(folder, CONFIG)
    np.testing.assert_allclose(episode.states[:, 0], [0.1, 0.12, 0.14, 0.16], atol=1e-6)


def test_no_robot_gets_the_joint_states_of_another_one(folder: pathlib.Path) -> None:
    recording = Recording(folder, namespace="/arm_0")
    recording.joints(0, 400)
    recording.chunk(0, 100)
    recording.namespace, recording.sender = "/arm_1", "robot_1"
    recording.chunk(1, 100)
    recording.close()
    with pytest.raises(EpisodesError) as caught:
        read_episodes(folder, CONFIG)
    assert str(caught.value) == (
        "the joint states of several robots must be recorded in the namespaces of their chunks, got "
        f"/arm_0/follower_left/joint_states and not /arm_1/follower_left/joint_states in {folder}; leave out the "
        "recording"
    )


def test_parts_are_one_recording(folder: pathlib.Path) -> None:
    recording = Recording(folder, namespace="/lab", part_bytes=2000)
    recording.joints(0, 400)
    recording.chunk(0, 100)
    recording.close()
    assert len(list(folder.iterdir())) > 5
    (episode,) = read_episodes(folder, CONFIG)
    assert len(episode) == H


def test_an_episode_whose_states_were_not_recorded_is_left_out(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 100)
    recording.chunk(6, 20)
    recording.chunk(7, 150, episode=1)  # to 210 ms, 110 ms after the last joint states
    recording.close()
    first, second = iterate_episodes(folder, CONFIG)
    assert isinstance(first, Episode) and len(first) == H
    assert isinstance(second, LeftOut) and second.source == f"{folder}, run run, episode 1 of robot_0"
    assert "within 0.1 s of each step, got 0.11 s for the left arm at chunk 7 of run" in second.reason


def test_an_episode_over_a_missing_part_is_left_out(folder: pathlib.Path) -> None:
    recording = Recording(folder, part_bytes=1)  # Each message is a part.
    recording.joints(0, 800, every_ms=100)
    for number, episode in enumerate((0, 0, 0, 1)):
        recording.chunk(number, 100 + 200 * number, episode=episode)
    recording.close()
    parts = sorted(folder.iterdir())
    assert len(parts) == 26  # 9 of each arm, and 4 chunks, each with its result
    for part in parts[20:22]:  # the second chunk and its result
        shutil.rmtree(part)
    first, second = iterate_episodes(folder, CONFIG)
    assert isinstance(first, LeftOut) and first.reason == "part_0020 to part_0021 in its middle is missing"
    assert isinstance(second, Episode) and len(second) == H
    assert any("part_0020 to part_0021 missing from" in said for said in second.facts.said)


def test_a_part_that_was_cut_off_is_used(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 400)
    recording.chunk(0, 100)
    recording.close()
    (folder / "part_0000" / "metadata.yaml").unlink()
    (file,) = folder.glob("part_0000/*.mcap")
    content = file.read_bytes()
    file.write_bytes(content[:-100])  # The index at the end is not whole.
    (episode,) = read_episodes(folder, CONFIG)
    assert len(episode) == H and np.all(episode.cameras["cam_high"](0) == 0)
    assert any("part_0000.mcap was cut off, and its complete messages are used" in said for said in episode.facts.said)


def test_a_part_that_is_there_twice_counts_once(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 400)
    recording.chunk(0, 100)
    recording.close()
    shutil.copytree(folder / "part_0000", folder / "part_0000 (copy)")
    (episode,) = read_episodes(folder, CONFIG)
    np.testing.assert_array_equal(episode.actions[:, 0], [0, 1, 2, 3])
    assert "chunks in part_0000 (copy) are in other parts too, and count once" in episode.facts.said


def test_two_different_chunks_with_one_stamp_are_refused(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 400)
    recording.chunk(0, 100)
    recording.chunk(1, 100)
    recording.close()
    with pytest.raises(EpisodesError, match=r"must have different stamps, got two with the stamp 1700000000100000000"):
        read_episodes(folder, CONFIG)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"action_dim": 7}, r"14 numbers for each action, got 56 numbers of 4 actions with 7 in .*part_0000\.mcap"),
        ({"horizon": 5}, "14 numbers for each action, got 56 numbers of 5 actions with 14"),
    ],
)
def test_chunks_of_other_sizes_are_refused(folder: pathlib.Path, changed: dict[str, int], problem: str) -> None:
    recording = Recording(folder)
    recording.joints(0, 400)
    recording.chunk(0, 100, changed=changed)
    recording.close()
    with pytest.raises(EpisodesError, match=problem):
        read_episodes(folder, CONFIG)


def test_more_executed_steps_than_the_chunk_has_are_refused(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 400)
    recording.chunk(0, 100, num_steps=H + 1)
    recording.close()
    with pytest.raises(EpisodesError, match=r"at most its 4 steps, got 5 for chunk 0 of run run, episode 0 of robot_0"):
        read_episodes(folder, CONFIG)


def test_images_that_do_not_fit_their_size_are_refused(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 400)
    recording.chunk(0, 100, height=3)
    recording.close()
    (episode,) = read_episodes(folder, CONFIG)
    with pytest.raises(EpisodesError, match=r"must be \[3, 3, 2, 3\] bytes, got 36 in chunk 0 of run run, episode 0"):
        episode.cameras["cam_high"](0)


def test_episodes_and_parts_are_left_out_by_name(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 1000)
    recording.chunk(0, 100)
    recording.chunk(1, 500, episode=1)
    recording.close()
    (folder / "part_0001").mkdir()
    (folder / "part_0001" / "part_0001.mcap").write_bytes(b"damaged")
    with pytest.raises(EpisodesError, match=r"recording must be whole, got .*part_0001"):
        read_episodes(folder, CONFIG)
    names = ("part_0001", "run run, episode 0 of robot_0")
    first, second = iterate_episodes(folder, TrainConfig(recordings=RecordingsConfig(leave_out_episodes=names)))
    assert isinstance(first, LeftOut) and first.reason == "it is named by --leave_out_episodes"
    assert isinstance(second, Episode) and second.facts.format == "recording of recorder_node, message format 2"


def test_a_recording_of_something_else(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 100)
    recording.close()
    with pytest.raises(EpisodesError, match="must have action_chunk, .* got the topics /follower_left/joint_states, "):
        read_episodes(folder, CONFIG)


def test_a_recording_cut_short(folder: pathlib.Path) -> None:
    recording = Recording(folder)
    recording.joints(0, 400)
    recording.chunk(0, 100)
    recording.close()
    (file,) = folder.glob("part_0000/*.mcap")
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(EpisodesError, match="recording must be whole"):
        read_episodes(folder, CONFIG)
    shutil.rmtree(folder / "part_0000")
    with pytest.raises(EpisodesError, match="a folder with nothing"):
        read_episodes(folder, CONFIG)


def test_the_last_step_of_each_chunk_has_its_reward_where_all_are_recorded(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "bag")
    recording.joints(0, 600)
    for number, episode in enumerate((0, 0, 1, 1)):
        recording.chunk(number, 100 * number, episode=episode, num_steps=H - number % 2)
    for number, episode in enumerate((0, 0, 1)):
        recording.outcome(number, 100 * number, episode=episode, reward=0.5 + number)
    recording.close()
    first, second = read_episodes(tmp_path / "bag", CONFIG)
    assert first.rewards is not None and first.rewards.tolist() == [0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 1.5]
    assert second.rewards is None
