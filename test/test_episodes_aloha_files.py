"""Tests which HDF5 files of a folder are read, in which order, and what is left out."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from chunk_ppo_ros.config import RecordingsConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bags.teleop_bag import TeleopBagReader
from chunk_ppo_ros.data.episode import LeftOut
from chunk_ppo_ros.data.readers import iterate_episodes, read_episodes
from support.aloha_files import write_aloha

CONFIG = TrainConfig()


def names(folder: pathlib.Path) -> list[str]:
    return [str(pathlib.Path(each.source).relative_to(folder)) for each in read_episodes(folder, CONFIG)]


def test_files_of_a_mac_and_hidden_files_are_not_read(tmp_path: pathlib.Path) -> None:
    write_aloha(tmp_path / "episode_0.hdf5")
    (tmp_path / "._episode_0.hdf5").write_bytes(b"\0\5\x16\7 from a Mac")
    (tmp_path / ".hidden.h5").touch()
    write_aloha(tmp_path / ".Trash" / "episode_9.hdf5")
    assert names(tmp_path) == ["episode_0.hdf5"]


@pytest.mark.parametrize("name", ["a.hdf5", "a.HDF5", "a.h5", "a.H5", "a.Hdf5"])
def test_names_end_in_small_or_capital_letters(tmp_path: pathlib.Path, name: str) -> None:
    path = write_aloha(tmp_path / name)
    assert names(tmp_path) == [name]
    assert len(read_episodes(path, CONFIG)) == 1


def test_folders_below_are_read_after_the_files_by_number(tmp_path: pathlib.Path) -> None:
    wanted = ["b_2.hdf5", "b_10.hdf5", "task_2/x_1.hdf5", "task_2/deep/x_0.hdf5", "task_10/x_0.hdf5", "übung/x_0.hdf5"]
    for name in reversed(wanted):
        write_aloha(tmp_path / name)
    (tmp_path / "notes").mkdir()
    assert names(tmp_path) == wanted


def test_a_link_to_the_folder_itself_does_not_repeat_it(tmp_path: pathlib.Path) -> None:
    write_aloha(tmp_path / "task" / "x_0.hdf5")
    (tmp_path / "task" / "again").symlink_to(tmp_path)
    assert names(tmp_path) == ["task/x_0.hdf5"]


def test_a_folder_of_another_format_is_left_out_by_name(tmp_path: pathlib.Path) -> None:
    write_aloha(tmp_path / "task" / "x_0.hdf5")
    (tmp_path / "z_set" / "meta").mkdir(parents=True)
    (tmp_path / "z_set" / "meta" / "info.json").touch()
    found = list(iterate_episodes(tmp_path, CONFIG))
    assert found[1] == LeftOut(str(tmp_path / "z_set"), "it is a folder of another format; name it by itself")
    assert len(found) == 2


def test_a_folder_with_bags_too_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader of bags is asked first, and would not read the HDF5 files."""
    monkeypatch.setattr(TeleopBagReader, "recognizes", lambda self, path: True)
    write_aloha(tmp_path / "task" / "x_0.hdf5")
    with pytest.raises(EpisodesError, match=r"of one format, got bags and ALOHA files .*; name the folders of each"):
        read_episodes(tmp_path, CONFIG)


def test_an_empty_file_is_refused_and_can_be_left_out(tmp_path: pathlib.Path) -> None:
    write_aloha(tmp_path / "episode_0.hdf5")
    (tmp_path / "episode_1.hdf5").touch()
    with pytest.raises(EpisodesError, match=r"got .*episode_1\.hdf5, which is empty"):
        read_episodes(tmp_path, CONFIG)
    config = TrainConfig(recordings=RecordingsConfig(leave_out_episodes=("episode_1.hdf5",)))
    good, left = iterate_episodes(tmp_path, config)
    assert str(left) == f"{tmp_path / 'episode_1.hdf5'} is left out: it is named by --leave_out_episodes"
    assert not isinstance(good, LeftOut)


def test_a_link_to_a_file_that_is_gone_is_refused(tmp_path: pathlib.Path) -> None:
    write_aloha(tmp_path / "episode_0.hdf5")
    (tmp_path / "episode_1.hdf5").symlink_to(tmp_path / "gone.hdf5")
    with pytest.raises(EpisodesError, match=r"readable HDF5 file, got .*episode_1\.hdf5: .*No such file"):
        read_episodes(tmp_path, CONFIG)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "task").mkdir()
    original = pathlib.Path.iterdir

    def iterdir(folder: pathlib.Path) -> Iterator[pathlib.Path]:
        if folder.name == "task":
            raise PermissionError(13, "Permission denied")
        return original(folder)

    monkeypatch.setattr(pathlib.Path, "iterdir", iterdir)
    with pytest.raises(EpisodesError, match=r"folders of episodes must be readable, got .*task: .*Permission denied"):
        read_episodes(tmp_path, CONFIG)
