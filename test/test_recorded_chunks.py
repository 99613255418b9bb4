"""Tests recorded episodes as chunks: windows by hand, images as the policy sees them, cameras by name, and labels."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data import recorded_chunks
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.recorded_chunks import read_chunks
from support import small_policy


def configure(folder: pathlib.Path, **changes: Any) -> TrainConfig:
    """Returns a configuration of the small model with H = 4, 32 x 32 pixels, one action dimension and two cameras."""
    config = small_policy.configure(folder, action_dim=1, cameras=("base_0_rgb", "left_wrist_0_rgb"))
    robot = dataclasses.replace(config.robot, optional_cameras=changes.pop("optional_cameras", ()))
    return dataclasses.replace(config, robot=robot, pretrain=dataclasses.replace(config.pretrain, **changes))


def episode(num_steps: int, *, cameras: tuple[str, ...] = ("cam_high", "cam_left_wrist"), **fields: Any) -> Episode:
    """Returns an episode with the states 0, 1, 2 .., and actions that are ten times the states.

    Images of 16 x 32 pixels have the gray 10 + step, and 100 more for each camera.
    """
    steps = np.arange(num_steps, dtype=np.float32)[:, None]
    readers = {
        name: lambda step, index=index: np.full((16, 32, 3), 10 + step + 100 * index, np.uint8)
        for index, name in enumerate(cameras)
    }
    given = {"prompt": "reach", "cameras": readers, **fields}
    return Episode("hand-made", steps, 10 * steps, rate=50.0, **given)


def test_chunks_by_hand(tmp_path: pathlib.Path) -> None:
    """Every third step of 6 is 0 and 3, and of 2 it is 0. Beyond its end an episode repeats its last action."""
    chunks = read_chunks(
        [episode(6), episode(2, prompt="lift")], configure(tmp_path), folder=tmp_path / "new", stride=3
    )
    assert chunks.state[:, 0].tolist() == [0, 3, 0]
    assert chunks.actions[..., 0].tolist() == [[0, 10, 20, 30], [30, 40, 50, 50], [0, 10, 10, 10]]
    assert chunks.episodes.tolist() == [0, 0, 1]
    assert chunks.prompts == ("reach", "lift")
    # The 32 x 16 pixels are in a square of 32, which leaves bars of 8 rows.
    assert chunks.images.shape == (3, 2, 32, 32, 3) and chunks.image_mask.all()
    assert chunks.images[:, :, 16, 16, 0].tolist() == [[10, 110], [13, 113], [10, 110]]
    assert chunks.images[:, :, [7, 24]].max() == 0 and chunks.images[:, :, [8, 23]].min() == 10
    assert list((tmp_path / "new").iterdir()) == []  # the mapped file has no name


def test_rows_are_taken_into_memory(tmp_path: pathlib.Path) -> None:
    chunks = read_chunks([episode(6)], configure(tmp_path), folder=tmp_path, stride=1)
    taken = chunks.images[np.array([4, 0])]
    assert isinstance(chunks.images, np.memmap) and type(taken) is np.ndarray
    assert taken[:, 0, 16, 16, 0].tolist() == [14, 10]


def test_only_images_at_the_starts_are_read(tmp_path: pathlib.Path) -> None:
    seen: list[int] = []

    def read(step: int) -> np.ndarray:
        seen.append(step)
        return np.zeros((32, 32, 3), np.uint8)

    recorded = episode(9, cameras=(), image_steps=np.array([0, 3, 6]))
    recorded = dataclasses.replace(recorded, cameras={"cam_high": read, "cam_left_wrist": read, "cam_low": read})
    chunks = read_chunks([recorded], configure(tmp_path), folder=tmp_path, stride=4)
    assert seen == [0, 0, 6, 6]
    assert chunks.actions[:, 0, 0].tolist() == [0, 60]


def test_a_camera_that_may_be_absent_is_masked(tmp_path: pathlib.Path) -> None:
    config = configure(tmp_path, optional_cameras=("cam_left_wrist",))
    chunks = read_chunks([episode(1, cameras=("cam_high",)), episode(1)], config, folder=tmp_path, stride=1)
    assert chunks.image_mask.tolist() == [[True, False], [True, True]]
    assert chunks.images[0, 1].max() == 0 and chunks.images[1, 1].max() == 110


def test_a_camera_that_is_missing_is_named_with_those_there(tmp_path: pathlib.Path) -> None:
    text = (
        "must have the camera cam_left_wrist for left_wrist_0_rgb, got cam_high, cam_low in hand-made; name the "
        "cameras by --episode_cameras, or allow it to be absent by --optional_cameras cam_left_wrist"
    )
    recorded = episode(1, cameras=("cam_high", "cam_low"))
    with pytest.raises(EpisodesError, match=text):
        read_chunks([recorded], configure(tmp_path), folder=tmp_path, stride=1)


def test_cameras_of_other_names(tmp_path: pathlib.Path) -> None:
    config = configure(tmp_path, episode_cameras=("cam_low", "top"))
    chunks = read_chunks([episode(1, cameras=("top", "cam_low"))], config, folder=tmp_path, stride=1)
    assert chunks.images[0, :, 16, 16, 0].tolist() == [110, 10]
    with pytest.raises(ValueError, match="episode_cameras must name each of model.cameras .*, got top; name one for"):
        configure(tmp_path, episode_cameras=("top",))


def test_an_episode_without_a_task_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(EpisodesError, match="no words for it in hand-made; set --prompt"):
        read_chunks([episode(1, prompt="")], configure(tmp_path), folder=tmp_path, stride=1)


def test_a_disk_that_is_too_small_is_found_first(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two chunks of 2 cameras of 32 x 32 x 3 bytes are 12288 bytes."""
    recorded, config = [episode(2)], configure(tmp_path)
    usage = type(recorded_chunks.shutil.disk_usage(tmp_path))
    monkeypatch.setattr(recorded_chunks.shutil, "disk_usage", lambda _: usage(0, 0, 12288))
    read_chunks(recorded, config, folder=tmp_path, stride=1)
    monkeypatch.setattr(recorded_chunks.shutil, "disk_usage", lambda _: usage(0, 0, 12287))
    with pytest.raises(EpisodesError, match=r"must have 0\.0 GB for images, got 0\.0 GB; raise --chunk_stride"):
        read_chunks(recorded, config, folder=tmp_path, stride=1)
