"""Tests the choice of a reader, when files are read, and a format that another package adds."""

from __future__ import annotations

import dataclasses
import pathlib

import h5py
import numpy as np
import pytest

from chunk_ppo_ros.config import RobotConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bags import teleop_bag
from chunk_ppo_ros.data.readers import READERS, iterate_episodes, read_all
from support import plugin_package

CONFIG = TrainConfig()
GROUP = "chunk_ppo_ros.episode_readers"
NUMPY_READER = """
import numpy as np
from chunk_ppo_ros.data.episode import Episode

class Reader:
    description = "folders of NumPy files (*.npy)"

    def recognizes(self, path):
        return path.is_dir() and any(path.glob("*.npy"))

    def read(self, path, config):
        for file in sorted(path.glob("*.npy")):
            steps = np.load(file)
            yield Episode(str(file), steps, steps, 50.0, config.run.prompt)
"""


def write_hdf5(path: pathlib.Path, first: float = 0.0) -> None:
    with h5py.File(path, "w") as file:
        file["observations/qpos"] = file["action"] = np.full((3, 14), first, np.float32)


def test_a_file_that_was_recorded_with_another_linkage_is_corrected(tmp_path: pathlib.Path) -> None:
    """ALOHA's recorder reads 1.11 and -0.19 where aloha_vx300s is open and closed, at 1.4910 and -0.6213 rad."""
    path = tmp_path / "episode_0.hdf5"
    recorded = np.zeros((2, 14), np.float32)
    recorded[:, 6], recorded[:, 13] = (0.06234 - 0.01844) / 0.03956, (0.01092 - 0.01844) / 0.03956
    with h5py.File(path, "w") as file:
        file["observations/qpos"] = file["action"] = recorded
    (plain,) = read_all([path], CONFIG)
    np.testing.assert_array_equal(plain.states, recorded)
    robot = RobotConfig(gripper_numbers=("driver_linkage=0.0275/0.035",))
    (corrected,) = read_all([path], dataclasses.replace(CONFIG, robot=robot))
    np.testing.assert_allclose(corrected.states[0, [6, 13]], [1.0, 0.0], atol=0.005)
    np.testing.assert_array_equal(corrected.actions, recorded)


def install(folder: pathlib.Path, patch: pytest.MonkeyPatch, name: str = "npy") -> None:
    folder.mkdir()
    module = f"plugin_reader_{name}"
    plugin_package.install(
        folder, patch, name=name, modules={module: NUMPY_READER}, entry_points={GROUP: {name: f"{module}:Reader"}}
    )


def test_every_reader_of_this_package_can_be_made() -> None:
    for name in READERS.own_names():
        assert READERS.get(name)().description


def test_an_episode_is_read_when_it_is_asked_for(tmp_path: pathlib.Path) -> None:
    write_hdf5(tmp_path / "episode_0.hdf5", 1.0)
    (tmp_path / "episode_1.hdf5").write_bytes(b"damaged")
    episodes = iterate_episodes(tmp_path, CONFIG)
    assert next(episodes).states[0, 0] == 1.0
    with pytest.raises(EpisodesError, match=r"readable HDF5 file, got .*episode_1"):
        next(episodes)


def test_another_package_adds_a_format(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 14), np.float32))
    with pytest.raises(EpisodesError, match=r"got a folder with a\.npy"):
        read_all([tmp_path], CONFIG)
    install(tmp_path / "package", monkeypatch)
    (episode,) = read_all([tmp_path], CONFIG)
    assert episode.states.shape == (4, 14)
    with pytest.raises(EpisodesError, match=r"metadata\.yaml.* or folders of NumPy files \(\*\.npy\), got the file"):
        read_all([tmp_path / "a.npy"], CONFIG)


def test_a_reader_of_another_package_is_asked_first(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_hdf5(tmp_path / "episode_0.hdf5")
    np.save(tmp_path / "a.npy", np.ones((4, 14), np.float32))
    assert len(read_all([tmp_path], CONFIG)[0]) == 3
    install(tmp_path / "package", monkeypatch)
    assert len(read_all([tmp_path], CONFIG)[0]) == 4


def test_two_packages_that_recognize_a_path_are_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 14), np.float32))
    install(tmp_path / "one", monkeypatch, "npy")
    install(tmp_path / "two", monkeypatch, "numpy_too")
    with pytest.raises(EpisodesError, match="which npy and numpy_too recognize; uninstall"):
        read_all([tmp_path], CONFIG)


@pytest.mark.parametrize(
    ("topics", "recognized"),
    [
        (("/leader_left/joint_states", "/leader_right/joint_states"), True),
        (("/lab/leader_left/joint_states", "/action_chunk"), False),  # a rollout in which a person took over
        (("/follower_left/joint_states",), False),
        ((), False),
    ],
)
def test_demonstrations_by_leaders_have_no_chunks_of_a_policy(
    topics: tuple[str, ...], recognized: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teleop_bag, "first_topics", lambda bags, wanted: topics)
    assert teleop_bag.TeleopBagReader().recognizes(tmp_path) is recognized
