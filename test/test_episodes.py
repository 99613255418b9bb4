"""Episodes of ALOHA's and LeRobot's formats, and their chunks; the files are made here as their recorders make them."""

from __future__ import annotations

import io
import json
import pathlib
from typing import Any

import h5py
import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.episode import Episode, to_chunks
from chunk_ppo_ros.episodes import read_episodes
from chunk_ppo_ros.errors import EpisodesError

ROBOT = RobotConfig()
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 10, 3), dtype=np.uint8)


def numbers(num_steps: int, dim: int = 14, first: float = 0.0) -> np.ndarray:
    """[T, dim]: 0, 0.01, 0.02 .. row by row."""
    return (first + np.arange(num_steps * dim).reshape(num_steps, dim) / 100).astype(np.float32)


def write_hdf5(path: pathlib.Path, num_steps: int = 3, *, first: float = 0.0, images: Any = IMAGES) -> pathlib.Path:
    with h5py.File(path, "w") as file:
        file.attrs["sim"] = False
        file["observations/qpos"] = numbers(num_steps, first=first)
        file["observations/qvel"] = numbers(num_steps)
        file["action"] = numbers(num_steps, first=first) + 1
        file["observations/images/cam_high"] = images
    return path


def jpegs(images: np.ndarray) -> np.ndarray:
    """JPEG files with zeros behind, to one length, as ALOHA's recorder pads them."""
    files = []
    for image in images:
        Image.fromarray(image).save(buffer := io.BytesIO(), "JPEG", quality=100, subsampling=0)
        files.append(np.frombuffer(buffer.getvalue(), np.uint8))
    longest = max(len(file) for file in files) + 5
    return np.stack([np.pad(file, (0, longest - len(file))) for file in files])


def episode(num_steps: int) -> Episode:
    return Episode("here", numbers(num_steps, 2), numbers(num_steps, 1), rate=50.0)


# Chunks


def test_a_chunk_at_every_step_and_the_last_action_repeated() -> None:
    # Actions of the four steps are 0, 0.01, 0.02, 0.03.
    states, actions = to_chunks(episode(4), 3)
    np.testing.assert_array_equal(states, numbers(4, 2))
    expected = np.array([[0, 1, 2], [1, 2, 3], [2, 3, 3], [3, 3, 3]]) / 100
    np.testing.assert_allclose(actions[..., 0], expected, rtol=1e-6)


def test_chunks_at_every_third_step() -> None:
    states, actions = to_chunks(episode(4), 2, stride=3)
    np.testing.assert_array_equal(states, numbers(4, 2)[[0, 3]])
    np.testing.assert_allclose(actions[..., 0], [[0, 0.01], [0.03, 0.03]])


def test_chunks_of_no_length_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0 and 1"):
        to_chunks(episode(4), 0)


@pytest.mark.parametrize(
    ("states", "actions", "text"),
    [
        (np.zeros((2, 3)), np.zeros((1, 3)), r"\[T, S\] and \[T, D\], got \(2, 3\) and \(1, 3\) in here"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "at least one step, got none in here"),
        (np.array([[0.0], [np.nan]]), np.zeros((2, 1)), "states must be finite, .* in step 1 of here"),
    ],
)
def test_bad_episodes_are_refused(states: np.ndarray, actions: np.ndarray, text: str) -> None:
    with pytest.raises(EpisodesError, match=text):
        Episode("here", states, actions, rate=50.0)


# ALOHA's HDF5


def test_hdf5(tmp_path: pathlib.Path) -> None:
    (read,) = read_episodes(write_hdf5(tmp_path / "episode_0.hdf5"), ROBOT, prompt="stack")
    np.testing.assert_array_equal(read.states, numbers(3))
    np.testing.assert_array_equal(read.actions, numbers(3) + 1)
    assert (read.rate, read.prompt, list(read.cameras)) == (50.0, "stack", ["cam_high"])
    np.testing.assert_array_equal(read.cameras["cam_high"](2), IMAGES[2])


def test_compressed_images(tmp_path: pathlib.Path) -> None:
    smooth = np.zeros((3, 8, 16, 3), np.uint8)
    smooth[..., 0], smooth[..., 2] = 200, 50  # red is not blue
    (read,) = read_episodes(write_hdf5(tmp_path / "episode_0.hdf5", images=jpegs(smooth)), ROBOT)
    image = read.cameras["cam_high"](1)
    assert image.shape == (8, 16, 3) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - smooth[1]).max() <= 3


def test_a_folder_is_read_by_number(tmp_path: pathlib.Path) -> None:
    for number in (10, 2, 1):
        write_hdf5(tmp_path / f"episode_{number}.hdf5", first=number)
    assert [each.states[0, 0] for each in read_episodes(tmp_path, ROBOT)] == [1, 2, 10]


def test_a_file_without_actions_says_what_it_has(tmp_path: pathlib.Path) -> None:
    with h5py.File(tmp_path / "episode_0.hdf5", "w") as file:
        file["observations/qpos"] = numbers(3)
    with pytest.raises(EpisodesError, match="observations/qpos and action, got observations, observations/qpos in"):
        read_episodes(tmp_path, ROBOT)


def test_a_file_cut_short_is_refused(tmp_path: pathlib.Path) -> None:
    path = write_hdf5(tmp_path / "episode_0.hdf5")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(EpisodesError, match=r"readable HDF5 file, got .*episode_0\.hdf5"):
        read_episodes(path, ROBOT)


# LeRobot


def write_lerobot(
    folder: pathlib.Path, *, version: str = "v3.0", task_column: str = "task", fixed: bool = False
) -> pathlib.Path:
    """Episodes of 3, 2 and 4 steps, in two files of which the first ends within the second episode."""
    episodes = np.repeat([0, 1, 2], [3, 2, 4])
    vectors = pyarrow.list_(pyarrow.float32(), 14) if fixed else pyarrow.list_(pyarrow.float32())
    table = pyarrow.table(
        {
            "action": pyarrow.array(list(numbers(9) + 1), vectors),
            "observation.state": pyarrow.array(list(numbers(9)), vectors),
            "timestamp": np.arange(9, dtype=np.float32),
            "episode_index": episodes,
            "task_index": np.where(episodes == 1, 1, 0),
        }
    )
    for number, part in enumerate([table.slice(0, 4), table.slice(4)]):
        file = folder / "data" / "chunk-000" / f"file-{number:03d}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(part, file)
    (folder / "meta").mkdir()
    tasks = pyarrow.table({"task_index": [0, 1], task_column: ["stack the cubes", "open the drawer"]})
    parquet.write_table(tasks, folder / "meta" / "tasks.parquet")
    names = ["observation.state", "action", "timestamp", "episode_index", "task_index", "observation.images.top"]
    info = {"codebase_version": version, "fps": 30, "features": {name: {} for name in names}}
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    return folder


@pytest.mark.parametrize(("task_column", "fixed"), [("task", False), ("__index_level_0__", True)])
def test_lerobot(tmp_path: pathlib.Path, task_column: str, fixed: bool) -> None:
    read = read_episodes(write_lerobot(tmp_path, task_column=task_column, fixed=fixed), ROBOT)
    assert [len(each) for each in read] == [3, 2, 4]
    np.testing.assert_array_equal(read[1].states, numbers(9)[3:5])
    np.testing.assert_array_equal(read[1].actions, numbers(9)[3:5] + 1)
    assert [each.prompt for each in read] == ["stack the cubes", "open the drawer", "stack the cubes"]
    assert read[0].rate == 30
    with pytest.raises(
        EpisodesError, match=r"images of LeRobot .* got observation\.images\.top of .* episode 2, step 3"
    ):
        read[2].cameras["top"](3)


def test_a_given_prompt_replaces_the_tasks(tmp_path: pathlib.Path) -> None:
    read = read_episodes(write_lerobot(tmp_path), ROBOT, prompt="tidy up")
    assert {each.prompt for each in read} == {"tidy up"}


def test_other_versions_of_lerobot_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(EpisodesError, match=r"version v3, got v2\.1"):
        read_episodes(write_lerobot(tmp_path, version="v2.1"), ROBOT)


def test_a_damaged_dataset_is_refused(tmp_path: pathlib.Path) -> None:
    folder = write_lerobot(tmp_path)
    (folder / "data" / "chunk-000" / "file-001.parquet").write_bytes(b"PAR1")
    with pytest.raises(EpisodesError, match="LeRobot dataset must be whole"):
        read_episodes(folder, ROBOT)
    for file in (folder / "data" / "chunk-000").iterdir():
        file.unlink()
    with pytest.raises(EpisodesError, match=r"must have data/chunk-\*/file-\*\.parquet, got none"):
        read_episodes(folder, ROBOT)


def test_missing_features_are_named(tmp_path: pathlib.Path) -> None:
    folder = write_lerobot(tmp_path)
    info = json.loads((folder / "meta" / "info.json").read_text())
    del info["features"]["action"]
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    with pytest.raises(EpisodesError, match="must have observation.state, action, .* got observation.state, timestamp"):
        read_episodes(folder, ROBOT)


# What is recognised


def test_what_is_not_known_is_listed(tmp_path: pathlib.Path) -> None:
    with pytest.raises(EpisodesError, match="does not exist"):
        read_episodes(tmp_path / "nowhere", ROBOT)
    with pytest.raises(EpisodesError, match="got a folder with nothing"):
        read_episodes(tmp_path, ROBOT)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(EpisodesError, match=r"\(\*\.hdf5, \*\.h5\), .*metadata\.yaml.*info\.json.* with notes\.txt in"):
        read_episodes(tmp_path, ROBOT)
    with pytest.raises(EpisodesError, match=r"got the file .*notes\.txt"):
        read_episodes(tmp_path / "notes.txt", ROBOT)
