"""Tests that an export of a recording has the images that its cameras sent, where they were recorded."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import pytest

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.data.bags.rollout_bag import RolloutBagReader
from chunk_ppo_ros.data.episode import Episode, LeftOut
from support.rollout_bags import H, Recording

CONFIG = TrainConfig()
CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")


def record(
    folder: pathlib.Path,
    times_ms: list[int],
    *,
    cameras: tuple[str, ...] = CAMERAS,
    robots: tuple[str, ...] = ("",),
    left_ms: Sequence[int] = (),
    lockstep: bool = False,
) -> pathlib.Path:
    """Writes a recording of two chunks from 0 to 80 and from 200 to 280 ms, and images at given times.

    The left wrist camera sends more images at times of its own.
    """
    recording = Recording(folder)
    if lockstep:
        recording.clock(0)
    recording.joints(0, 300)
    for number in range(2):
        recording.chunk(number, 200 * number)
        recording.outcome(number, 200 * number)
    for recording.namespace in robots:
        for camera in cameras:
            for time in times_ms:
                recording.image(camera, time, 50 * CAMERAS.index(camera) + time // 10)
        for time in left_ms:
            recording.image("cam_left_wrist", time, 99)
    recording.close()
    return folder


def read(folder: pathlib.Path) -> list[Episode | LeftOut]:
    return list(RolloutBagReader().read(folder, CONFIG))


def grays(episode: Episode, camera: str) -> list[int]:
    return [int(episode.cameras[camera](step)[0, 0, 0]) for step in range(len(episode))]


def test_each_step_has_the_newest_image_of_each_camera(tmp_path: pathlib.Path) -> None:
    (episode,) = read(record(tmp_path / "bag", [0, 30, 60, 90, 190, 220]))
    assert isinstance(episode, Episode) and len(episode) == 2 * H
    assert grays(episode, "cam_high") == [0, 0, 3, 6, 19, 22, 22, 22]
    assert grays(episode, "cam_right_wrist") == [100, 100, 103, 106, 119, 122, 122, 122]
    assert episode.image_steps is not None and episode.image_steps.tolist() == [0, 2, 3, 4, 5]
    assert episode.cameras["cam_high"](0).shape == (4, 6, 3)


def test_a_step_is_new_where_one_camera_has_sent_an_image(tmp_path: pathlib.Path) -> None:
    (episode,) = read(record(tmp_path / "bag", [0, 190], left_ms=[15]))
    assert isinstance(episode, Episode) and episode.image_steps is not None
    assert episode.image_steps.tolist() == [0, 1, H]
    assert grays(episode, "cam_left_wrist")[:2] == [50, 99] and grays(episode, "cam_high")[:2] == [0, 0]


def test_an_episode_has_the_first_images_from_after_its_last_step(tmp_path: pathlib.Path) -> None:
    """The last of the eight steps begins at 260 ms and ends at 280 ms."""
    (episode,) = read(record(tmp_path / "bag", [0, 200, 270, 280, 310], left_ms=[279, 281]))
    assert isinstance(episode, Episode) and episode.end_images is not None
    shown = {name: int(read_end()[0, 0, 0]) for name, read_end in episode.end_images.items()}
    assert shown == {"cam_high": 28, "cam_left_wrist": 99, "cam_right_wrist": 128}


@pytest.mark.parametrize("times", [[0, 200, 270], [0, 200, 270, 500]], ids=["none", "late"])
def test_an_episode_after_which_no_camera_was_recorded_has_no_end(times: list[int], tmp_path: pathlib.Path) -> None:
    (episode,) = read(record(tmp_path / "bag", times))
    assert isinstance(episode, Episode) and episode.end_images == {}


@pytest.mark.parametrize(("lockstep", "knows_end"), [(True, False), (False, True)])
def test_in_lockstep_the_next_image_is_of_the_next_scene(
    lockstep: bool, knows_end: bool, tmp_path: pathlib.Path
) -> None:
    """A reset of the simulator takes one control period of 20 ms, and the episode ends at 280 ms."""
    (episode,) = read(record(tmp_path / "bag", [0, 200, 300], lockstep=lockstep))
    assert isinstance(episode, Episode) and bool(episode.end_images) == knows_end


def test_in_lockstep_an_episode_ends_with_the_image_of_its_last_moment(tmp_path: pathlib.Path) -> None:
    (episode,) = read(record(tmp_path / "bag", [0, 200, 280, 300], lockstep=True))
    assert isinstance(episode, Episode) and episode.end_images
    assert int(episode.end_images["cam_high"]()[0, 0, 0]) == 28


def test_a_recording_without_cameras_does_not_know_the_end(tmp_path: pathlib.Path) -> None:
    (episode,) = read(record(tmp_path / "bag", []))
    assert isinstance(episode, Episode) and episode.end_images is None


@pytest.mark.parametrize(
    ("times", "settings"),
    [([], {}), ([0], {"cameras": CAMERAS[:2]}), ([0], {"robots": ("/a", "/b")})],
    ids=["none", "one is missing", "two robots"],
)
def test_what_the_policy_saw_is_taken_where_not_all_cameras_of_one_robot_were_recorded(
    times: list[int], settings: dict[str, tuple[str, ...]], tmp_path: pathlib.Path
) -> None:
    (episode,) = read(record(tmp_path / "bag", times, **settings))
    assert isinstance(episode, Episode) and episode.cameras["cam_high"](0).shape == (2, 2, 3)


def test_an_episode_without_an_image_at_its_start_is_left_out(tmp_path: pathlib.Path) -> None:
    (found,) = read(record(tmp_path / "bag", [40, 200]))
    assert isinstance(found, LeftOut) and "was not recorded within 0.1 s before its first step" in found.reason
