"""Tests that what is written as a LeRobot dataset is read back equal, by our own reader and by LeRobot's loader."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.lerobot.writing import form as forms
from chunk_ppo_ros.data.lerobot.writing.dataset_writer import write_dataset
from chunk_ppo_ros.data.lerobot.writing.file_places import FilePlace
from chunk_ppo_ros.data.lerobot.writing.form import form_of
from chunk_ppo_ros.data.lerobot.writing.statistics import ImageStatistics, statistics_of
from chunk_ppo_ros.data.readers import read_episodes

CONFIG = TrainConfig()
LEROBOT = os.environ.get("CHUNK_PPO_LEROBOT_PYTHON", "")
"""The Python of an environment in which lerobot[dataset] is installed (docs/bridges.md)."""


def picture(images: np.ndarray, step: int) -> np.ndarray:
    return images[step]


def make_episode(number: int, length: int, **changes: Any) -> Episode:
    """Returns an episode of a gray and a colored camera, whose images have levels of their own."""
    random = np.random.default_rng(number)
    grays = (20 + 40 * number + 5 * np.arange(length))[:, None, None, None]
    high = np.broadcast_to(grays, (length, 32, 48, 3)).astype(np.uint8)
    left = np.broadcast_to(np.array([250, 120, 10]) - grays // 20, (length, 32, 48, 3)).astype(np.uint8)
    episode = Episode(
        source=f"episode {number}",
        states=random.normal(size=(length, 14)).astype(np.float32),
        actions=random.normal(size=(length, 14)).astype(np.float32),
        rate=50.0,
        prompt=("stack the cubes", "wave")[number % 2],
        success=number % 2 == 0,
        cameras={
            "cam_high": functools.partial(picture, high),
            "cam_left_wrist": functools.partial(picture, left),
        },
        rewards=np.arange(length, dtype=np.float32) / 8,
    )
    return dataclasses.replace(episode, **changes)


def write(folder: Path, episodes: list[Episode], images: str = forms.PNG, **limits: int) -> list[Episode]:
    """Writes episodes and returns what our reader reads of them."""
    write_dataset(folder, episodes, form_of(episodes, images), **limits)
    return read_episodes(folder, CONFIG)


def assert_equal(written: list[Episode], found: list[Episode], *, tolerance: int) -> None:
    assert len(written) == len(found)
    for mine, other in zip(written, found, strict=True):
        np.testing.assert_array_equal(mine.states, other.states)
        np.testing.assert_array_equal(mine.actions, other.actions)
        assert (mine.rate, mine.prompt, mine.success) == (other.rate, other.prompt, other.success)
        assert set(other.cameras) == set(mine.cameras)
        for step in range(len(mine)):
            for name, read in other.cameras.items():
                difference = read(step).astype(int) - mine.cameras[name](step)
                assert np.abs(difference).max() <= tolerance, (mine.source, name, step)


@pytest.mark.parametrize(("images", "tolerance"), [(forms.PNG, 0), (forms.H264, 4), (forms.AV1, 6)])
def test_episodes_are_read_back_equal(images: str, tolerance: int, tmp_path: Path) -> None:
    episodes = [make_episode(number, length) for number, length in enumerate((5, 1, 9, 4))]
    assert_equal(episodes, write(tmp_path / "set", episodes, images), tolerance=tolerance)


@pytest.mark.parametrize("images", [forms.PNG, forms.H264])
def test_long_datasets_are_cut_into_several_files(images: str, tmp_path: Path) -> None:
    episodes = [make_episode(number, 3 + number) for number in range(3)]
    found = write(tmp_path / "set", episodes, images, data_bytes=-1, video_bytes=-1)
    assert_equal(episodes, found, tolerance=4)
    names = [path.name for path in sorted((tmp_path / "set" / "data" / "chunk-000").iterdir())]
    assert names == ["file-000.parquet", "file-001.parquet", "file-002.parquet"]
    assert len(list((tmp_path / "set").glob("videos/*/chunk-000/*.mp4"))) == (0 if images == forms.PNG else 6)


def test_files_are_numbered_in_folders_of_a_thousand() -> None:
    assert FilePlace(0, 998).next() == FilePlace(0, 999)
    assert FilePlace(0, 999).next() == FilePlace(1, 0)
    assert FilePlace(1, 2).columns("data") == {"data/chunk_index": 1, "data/file_index": 2}


def test_rows_say_what_the_episodes_hold_and_how_they_end(tmp_path: Path) -> None:
    episodes = [make_episode(0, 3), make_episode(1, 2)]
    write(tmp_path / "set", episodes)
    rows = parquet.read_table(tmp_path / "set" / "data" / "chunk-000" / "file-000.parquet").to_pydict()
    assert rows["next.reward"] == [0.0, 0.125, 0.25, 0.0, 0.125]
    assert rows["next.done"] == [False, False, True, False, True]
    assert rows["next.success"] == [False, False, True, False, False]
    assert rows["episode_index"] == [0, 0, 0, 1, 1] and rows["index"] == [0, 1, 2, 3, 4]
    assert rows["task_index"] == [0, 0, 0, 1, 1] and rows["frame_index"] == [0, 1, 2, 0, 1]
    assert rows["timestamp"] == [float(np.float32(step / 50)) for step in (0, 1, 2, 0, 1)]
    info = json.loads((tmp_path / "set" / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["robot_type"], info["fps"]) == ("v3.0", "aloha", 50)
    names = info["features"]["observation.state"]["names"]
    assert (names[0], names[6], names[13]) == ("left_waist", "left_gripper", "right_gripper")
    assert set(rows) == {*info["features"]}


def test_what_is_not_known_is_left_out_instead_of_invented(tmp_path: Path) -> None:
    known = make_episode(0, 3)
    unknown = make_episode(1, 2, success=None, rewards=None, cameras={"cam_high": known.cameras["cam_high"]})
    write_dataset(tmp_path / "set", [known, unknown], form_of([known, unknown], forms.PNG))
    info = json.loads((tmp_path / "set" / "meta" / "info.json").read_text())
    names = {"next.reward", "next.success", "observation.measured", "observation.images.cam_left_wrist"}
    assert not names & set(info["features"])
    assert [episode.success for episode in read_episodes(tmp_path / "set", CONFIG)] == [None, None]


def test_steps_without_images_of_their_own_repeat_the_newest_and_say_so(tmp_path: Path) -> None:
    whole = make_episode(0, 6)
    episode = dataclasses.replace(whole, image_steps=np.array([0, 4]))
    (found,) = write(tmp_path / "set", [episode], forms.H264)
    rows = parquet.read_table(tmp_path / "set" / "data" / "chunk-000" / "file-000.parquet").to_pydict()
    assert rows["observation.measured"] == [True, False, False, False, True, False]
    levels = [int(found.cameras["cam_high"](step).mean().round()) for step in range(6)]
    assert np.abs(np.array(levels) - [20, 20, 20, 20, 40, 40]).max() <= 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"rate": 30.0}, "must have one control rate, got 50.0 in episode 0 and 30.0 in episode 1"),
        ({"states": np.zeros((2, 7), np.float32)}, r"one sizes of states and actions, got \(14, 14\) in episode 0"),
    ],
)
def test_episodes_of_two_kinds_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(EpisodesError, match=text):
        form_of([make_episode(0, 3), make_episode(1, 2, **changes)], forms.H264)


def test_no_episode_broken_rates_and_other_image_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EpisodesError, match="at least one episode, got none"):
        form_of([], forms.H264)
    with pytest.raises(EpisodesError, match=r"whole number of steps per second, got 29\.97 Hz in episode 0"):
        form_of([make_episode(0, 3, rate=29.97)], forms.H264)
    other = make_episode(1, 2)
    small = {name: functools.partial(picture, np.zeros((2, 8, 8, 3), np.uint8)) for name in other.cameras}
    episodes = [make_episode(0, 3), dataclasses.replace(other, cameras=small)]
    with pytest.raises(EpisodesError, match=r"one size, \[32, 48, 3\], got \[8, 8, 3\] in step 0 of episode 1"):
        write_dataset(tmp_path / "set", episodes, form_of(episodes, forms.H264))
    assert not (tmp_path / "set" / "meta" / "info.json").exists()


def test_images_with_odd_sides_fit_into_videos(tmp_path: Path) -> None:
    images = np.full((3, 31, 47, 3), 90, np.uint8)
    episode = make_episode(0, 3, cameras={"cam_high": functools.partial(picture, images)})
    assert_equal([episode], write(tmp_path / "set", [episode], forms.H264), tolerance=2)


def test_statistics_are_those_of_numpy() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (5, 8, 9, 3), dtype=np.uint8)
    counted = ImageStatistics()
    for image in images:
        counted.add(image)
    counted.add(images[0], times=2)
    found, pixels = counted.result(), np.concatenate([images, images[:1], images[:1]]).reshape(-1, 3) / 255
    for name, wanted in (
        ("min", pixels.min(0)),
        ("max", pixels.max(0)),
        ("mean", pixels.mean(0)),
        ("std", pixels.std(0)),
    ):
        np.testing.assert_allclose(np.ravel(found[name]), wanted, atol=1e-12)
    np.testing.assert_allclose(np.ravel(found["q10"]), np.quantile(pixels, 0.1, axis=0), atol=1 / 255)
    assert found["count"] == [7] and np.shape(found["q99"]) == (3, 1, 1)
    values = random.normal(size=(50, 2))
    of_values = statistics_of(values)
    np.testing.assert_allclose(of_values["q90"], np.quantile(values, 0.9, axis=0))  # type: ignore[arg-type]
    assert of_values["count"] == [50] and np.shape(statistics_of(values[:, 0] > 0)["mean"]) == (1,)


@pytest.mark.skipif(not LEROBOT, reason="CHUNK_PPO_LEROBOT_PYTHON names no Python with lerobot (docs/bridges.md)")
@pytest.mark.parametrize("images", [forms.H264, forms.AV1, forms.PNG])
def test_lerobots_own_loader_opens_the_dataset(images: str, tmp_path: Path) -> None:
    """The loader runs in its own environment, because it wants older numpy and PyAV."""
    episodes = [make_episode(number, length) for number, length in enumerate((5, 1, 9))]
    episodes[2] = dataclasses.replace(episodes[2], image_steps=np.array([0, 4]))
    write(tmp_path / "set", episodes, images, data_bytes=-1, video_bytes=-1)
    script = """
import json, sys
from lerobot.datasets.lerobot_dataset import LeRobotDataset
dataset = LeRobotDataset("local/set", root=sys.argv[1])
later = LeRobotDataset("local/set", root=sys.argv[1], delta_timestamps={"action": [0.0, 0.02]})
rows = [dataset[index] for index in range(len(dataset))]
print(json.dumps({
    "fps": dataset.fps, "episodes": dataset.num_episodes, "cameras": dataset.meta.camera_keys,
    "states": [row["observation.state"].tolist() for row in rows],
    "actions": [row["action"].tolist() for row in rows],
    "tasks": [row["task"] for row in rows], "rewards": [float(row["next.reward"]) for row in rows],
    "success": [bool(row["next.success"]) for row in rows],
    "gray": [float(row["observation.images.cam_high"].mean()) * 255 for row in rows],
    "next": [later[index]["action"][1].tolist() for index in (0, 4)],
    "mean": dataset.meta.stats["action"]["mean"].tolist(),
}))
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    command = [LEROBOT, "-c", script, str(tmp_path / "set")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert (found["fps"], found["episodes"]) == (50, 3)
    assert found["cameras"] == ["observation.images.cam_high", "observation.images.cam_left_wrist"]
    actions = np.concatenate([episode.actions for episode in episodes])
    np.testing.assert_array_equal(np.float32(found["states"]), np.concatenate([each.states for each in episodes]))
    np.testing.assert_array_equal(np.float32(found["actions"]), actions)
    np.testing.assert_array_equal(np.float32(found["next"]), actions[[1, 4]])  # an episode ends at step 4
    np.testing.assert_allclose(found["mean"], actions.mean(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-6)
    assert found["tasks"] == ["stack the cubes"] * 5 + ["wave"] + ["stack the cubes"] * 9
    assert found["rewards"] == [step / 8 for length in (5, 1, 9) for step in range(length)]
    assert np.flatnonzero(found["success"]).tolist() == [4, 14]
    grays = [*range(20, 45, 5), 60, *[100] * 4, *[120] * 5]
    assert np.abs(np.array(found["gray"]) - grays).max() < 3
