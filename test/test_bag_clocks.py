"""Tests stamps of demonstrations: of other clocks, of none, and such that go back or come twice."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import LeftOut
from chunk_ppo_ros.data.readers import iterate_episodes, read_episodes
from support.teleop_bags import HIGH, Recording

CONFIG = TrainConfig()


def write(folder: pathlib.Path, clocks: dict[str, int | None] | None = None) -> None:
    recording = Recording(folder, clocks=clocks)
    recording.arms(0, 400)
    recording.images(HIGH, range(0, 420, 30))
    recording.close()


@pytest.mark.parametrize("offset", [-300, 300, 5_000, -1_699_000_000_000])
def test_sensors_whoseclocks_differ_are_refused(tmp_path: pathlib.Path, offset: int) -> None:
    """The last offset is that of a camera whose driver stamps by the time since the start of its machine."""
    write(tmp_path / "one", {"image_rect_raw": offset})
    with pytest.raises(EpisodesError, match=r"must be of one clock, got stamps .* on /lab/.* and .* on /lab/.* in"):
        read_episodes(tmp_path, CONFIG)


def test_a_delay_of_a_camera_is_no_other_clock(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "one", {"image_rect_raw": -100})
    (episode,) = read_episodes(tmp_path, CONFIG)
    assert episode.cameras["cam_high"](0)[0, 0, 0] == 9  # The image stamped -10 ms was taken at 90 ms by its number.


def test_a_clock_that_all_sensors_share_is_said(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "one", {"": -1_000_000})
    (episode,) = read_episodes(tmp_path, CONFIG)
    assert len(episode) == 21
    assert "all stamps are 1000 s before the times of recording, by a clock of their own" in episode.facts.said


def test_without_stamps_the_times_of_recording_count(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "one", {"leader_left/joint_states": None, "image_rect_raw": None})
    (episode,) = read_episodes(tmp_path, CONFIG)
    # Leaders are 1 rad further than followers. They were recorded 1 ms after they were there.
    np.testing.assert_allclose(episode.actions[1:, 0] - episode.states[1:, 0], 0.999, atol=1e-5)
    assert episode.cameras["cam_high"](3)[0, 0, 0] == 6
    assert "the headers of /lab/leader_left/joint_states have no stamps, so the times of recording count" in (
        episode.facts.assumed
    )


def test_stamps_of_which_some_are_missing_are_refused(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one", clocks={"leader_left/joint_states": None})
    recording.arms(0, 100)
    recording.clocks.clear()
    recording.arms(110, 200)
    recording.close()
    with pytest.raises(EpisodesError, match=r"must have stamps, or none, got 11 of 21 that are 0 on /lab/leader_left"):
        read_episodes(tmp_path, CONFIG)


def test_stamps_that_go_back_are_refused(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 400)
    recording.arms(100, 500)
    recording.close()
    with pytest.raises(EpisodesError, match=r"stamps must go forward, got one that is 0\.3 s before .* on /lab/fol"):
        read_episodes(tmp_path, CONFIG)


def test_messages_that_overtook_each_other_are_put_in_order(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(50, 100)
    recording.arms(0, 40)
    recording.arms(110, 200)
    recording.close()
    (episode,) = read_episodes(tmp_path, CONFIG)
    np.testing.assert_allclose(episode.states[:, 0], 0.02 * np.arange(11), atol=2e-6)


def test_messages_that_came_twice_count_once(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.arms(90, 200)
    recording.close()
    (episode,) = read_episodes(tmp_path, CONFIG)
    np.testing.assert_allclose(episode.states[:, 0], 0.02 * np.arange(11), atol=2e-6)
    text = "2 messages of /lab/leader_left/joint_states have the stamp of another one, of which the first counts"
    assert text in episode.facts.said


def test_two_publishers_of_one_topic_are_refused(tmp_path: pathlib.Path) -> None:
    """Leaders are 1 rad further than followers, and all are written to the topic of the followers."""
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    write_to, recording.write = (
        recording.write,
        lambda topic, *args, **fields: write_to(  # type: ignore[method-assign]
            topic.replace("leader", "follower"), *args, **fields
        ),
    )
    recording.arms(90, 200)
    recording.close()
    with pytest.raises(EpisodesError, match=r"with one stamp must be the same, got two that are far apart on /lab/fol"):
        read_episodes(tmp_path, CONFIG)


def test_a_demonstration_with_a_gap_is_left_out_and_the_others_are_read(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "1")
    recording = Recording(tmp_path / "2")
    recording.arms(0, 100)
    recording.arms(400, 500)
    recording.close()
    write(tmp_path / "3")
    first, gap, last = iterate_episodes(tmp_path, CONFIG)
    assert isinstance(gap, LeftOut) and not isinstance(first, LeftOut) and not isinstance(last, LeftOut)
    assert gap.source == str(tmp_path / "2")
    assert "within 0.1 s of each step, got 0.14 s for the follower left arm" in gap.reason
