"""Tests bags whose recorder did not end them, and bags with a damaged file."""

from __future__ import annotations

import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin

from chunk_ppo_ros.config import RecordingsConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.episode import Episode, LeftOut
from chunk_ppo_ros.data.readers import iterate_episodes, read_episodes
from support.teleop_bags import HIGH, MS, START, Recording

CONFIG = TrainConfig()
BOTH = pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])


def write(folder: pathlib.Path, *, storage: StoragePlugin = StoragePlugin.MCAP, last_ms: int = 20_000) -> pathlib.Path:
    """Writes a bag, whose MCAP file has several chunks, and returns its file."""
    recording = Recording(folder, storage=storage)
    for first_ms in range(0, last_ms + 1, 50):
        recording.arms(first_ms, min(first_ms + 40, last_ms))
        recording.images(HIGH, range(first_ms, first_ms + 1))
    recording.close()
    return next(file for file in folder.iterdir() if file.suffix in (".mcap", ".db3"))


def cut(file: pathlib.Path, num_bytes: int) -> None:
    """Cuts a file off as a loss of power does, before the recorder wrote metadata.yaml."""
    os.truncate(file, num_bytes)
    (file.parent / "metadata.yaml").unlink()


def test_the_complete_messages_of_a_bag_that_was_cut_off_are_used(tmp_path: pathlib.Path) -> None:
    file = write(tmp_path / "one")
    (whole,) = read_episodes(tmp_path, CONFIG)
    cut(file, file.stat().st_size * 2 // 3)
    (episode,) = read_episodes(tmp_path, CONFIG)
    assert 0.2 < len(episode) / len(whole) < 0.67
    np.testing.assert_allclose(episode.states, whole.states[: len(episode)], atol=2e-6)
    step = len(episode) - 4
    # Images come each 50 ms, and their red is a tenth of that time.
    assert episode.cameras["cam_high"](step)[0, 0, 0] == step * 20 // 50 * 5 % 256
    assert any("one.mcap was cut off, and its complete messages are used" in said for said in episode.facts.said)


@BOTH
def test_a_whole_bag_without_metadata_is_read_and_that_is_said(tmp_path: pathlib.Path, storage: StoragePlugin) -> None:
    write(tmp_path / "one", storage=storage, last_ms=200)
    (tmp_path / "one" / "metadata.yaml").unlink()
    (episode,) = read_episodes(tmp_path, CONFIG)
    assert len(episode) == 11
    assert "one has no metadata.yaml; all messages of its files are used" in episode.facts.said


def test_a_file_alone_is_a_bag(tmp_path: pathlib.Path) -> None:
    file = write(tmp_path / "one", last_ms=200)
    (episode,) = read_episodes(file, CONFIG)
    assert len(episode) == 11 and episode.source == str(file)


def test_bags_without_metadata_are_not_passed_over(tmp_path: pathlib.Path) -> None:
    """A bag that was cut off is read among good ones, and bags in folders below are found."""
    for name in ("1", "day/2", "day/3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        file = write(tmp_path / name)
    cut(file, file.stat().st_size // 2)
    episodes = read_episodes(tmp_path, CONFIG)
    assert [episode.source for episode in episodes] == [str(tmp_path / name) for name in ("1", "day/2", "day/3")]
    assert len(episodes[2]) < len(episodes[1]) == len(episodes[0])


def test_a_bag_that_was_cut_off_before_its_first_message_is_refused(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "1", last_ms=200)
    file = write(tmp_path / "2", last_ms=200)
    cut(file, 60)
    with pytest.raises(EpisodesError, match=r"got nothing on follower_left/.* and the topics none in .*2; record"):
        read_episodes(tmp_path, CONFIG)
    config = TrainConfig(recordings=RecordingsConfig(leave_out_episodes=("2",)))
    first, second = iterate_episodes(tmp_path, config)
    assert isinstance(first, Episode) and second == LeftOut(str(tmp_path / "2"), "it is named by --leave_out_episodes")


@pytest.mark.parametrize("content", [b"", b"no bag at all" * 10], ids=["empty", "other"])
@pytest.mark.parametrize("name", ["one.mcap", "one.db3", "one.mcap.zstd", "one.db3.zstd"])
def test_a_file_that_is_no_bag_is_refused(tmp_path: pathlib.Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EpisodesError, match=r"recording must be whole, got .*one|must have action_chunk"):
        read_episodes(tmp_path, CONFIG)


def test_the_newest_messages_in_a_write_ahead_log_are_read(tmp_path: pathlib.Path) -> None:
    """A recorder that is killed leaves the log. Nothing in the recording changes when it is read."""
    write(tmp_path / "whole", storage=StoragePlugin.SQLITE3, last_ms=200)
    code = (
        "import sqlite3, sys, os\n"
        "old, new = sqlite3.connect(sys.argv[1]), sqlite3.connect(sys.argv[2])\n"
        "new.execute('PRAGMA journal_mode=WAL'); new.execute('PRAGMA wal_autocheckpoint=0')\n"
        "[new.execute(line) for line in old.iterdump() if not line.startswith(('BEGIN', 'COMMIT'))]\n"
        "new.commit(); os._exit(0)\n"
    )
    (tmp_path / "killed").mkdir()
    file = tmp_path / "killed" / "killed_0.db3"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "whole" / "whole.db3"), str(file)], check=True)
    log = file.with_name("killed_0.db3-wal")
    content = (file.read_bytes(), log.read_bytes())
    assert len(content[1]) > len(content[0])
    (episode,) = read_episodes(tmp_path / "killed", CONFIG)
    assert len(episode) == 11 and episode.cameras["cam_high"](10).shape == (2, 4, 3)
    assert any("killed_0.db3 was not ended by its recorder" in said for said in episode.facts.said)
    assert (file.read_bytes(), log.read_bytes()) == content


def test_a_sqlite_file_that_was_cut_off_is_refused(tmp_path: pathlib.Path) -> None:
    file = write(tmp_path / "one", storage=StoragePlugin.SQLITE3, last_ms=2000)
    cut(file, file.stat().st_size // 2)
    with pytest.raises(EpisodesError, match=r"recording must be whole, got .*one\.db3: .*ros2 bag reindex"):
        read_episodes(tmp_path, CONFIG)


@BOTH
@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize("has_metadata", [True, False])
def test_compressed_bags(
    tmp_path: pathlib.Path, storage: StoragePlugin, mode: CompressionMode, has_metadata: bool
) -> None:
    recording = Recording(tmp_path / "one", storage=storage, compression=(mode, CompressionFormat.ZSTD))
    recording.arms(0, 200)
    recording.images(HIGH, range(0, 220, 50))
    recording.close()
    if not has_metadata:
        (tmp_path / "one" / "metadata.yaml").unlink()
    (episode,) = read_episodes(tmp_path, CONFIG)
    assert len(episode) == 11 and episode.cameras["cam_high"](10)[0, 0, 0] == 20


@pytest.mark.parametrize("ending", [".mcap", ".db3"])
def test_a_compressed_file_that_was_cut_off(tmp_path: pathlib.Path, ending: str) -> None:
    """What can be unpacked of an MCAP file is used; a SQLite file must be whole."""
    storage = StoragePlugin.MCAP if ending == ".mcap" else StoragePlugin.SQLITE3
    recording = Recording(tmp_path / "one", storage=storage, compression=(CompressionMode.FILE, CompressionFormat.ZSTD))
    recording.arms(0, 20_000)
    recording.close()
    (file,) = (tmp_path / "one").glob("*.zstd")
    shutil.copytree(tmp_path / "one", tmp_path / "other" / "one")
    os.truncate(tmp_path / "other" / "one" / file.name, file.stat().st_size // 2)
    with pytest.raises(EpisodesError, match="recording must be whole"):
        read_episodes(tmp_path / "other", CONFIG)
    cut(file, file.stat().st_size // 2)
    if ending == ".db3":
        with pytest.raises(EpisodesError, match="a compressed file must be whole, got one that was cut short"):
            read_episodes(tmp_path / "one", CONFIG)
    else:
        (episode,) = read_episodes(tmp_path / "one", CONFIG)
        assert 200 < len(episode) < 1000


@BOTH
def test_a_bag_must_have_the_messages_that_its_metadata_counts(tmp_path: pathlib.Path, storage: StoragePlugin) -> None:
    write(tmp_path / "one", storage=storage, last_ms=200)
    metadata = tmp_path / "one" / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("message_count: 21", "message_count: 22", 1))
    with pytest.raises(EpisodesError, match=r"got 21 of /lab/follower_left/joint_states in .*one, not 22; copy it"):
        read_episodes(tmp_path, CONFIG)


def test_a_row_of_another_topic_is_noticed(tmp_path: pathlib.Path) -> None:
    file = write(tmp_path / "one", storage=StoragePlugin.SQLITE3, last_ms=200)
    with sqlite3.connect(file) as database:
        database.execute("UPDATE messages SET topic_id = 2 WHERE id = 1")
    database.close()
    with pytest.raises(EpisodesError, match=r"got 20 of /lab/follower_left/joint_states in .*one, not 21"):
        read_episodes(tmp_path, CONFIG)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("rosbag2_bagfile_information", "other", "without 'rosbag2_bagfile_information'"),
        ("version: 9", "version: 10", "must be at most 9, got 10"),
        ("version: 9", "version: nine", "must be as rosbag2 writes it"),
        ("- one.mcap", "- two.mcap", r"got none called two\.mcap"),
        ("topics_with_message_count", "topics", "without 'topics_with_message_count'"),
        ("rosbag2_bagfile_information:", "- [", "must be as rosbag2 writes it"),
        ("custom_data:", "custom_data: [1]\n  more:", r"must be texts by their names, got \['1'\]"),
        ("prompt: stack", "prompt: [stack]", r"custom data prompt must be text, got \['stack'\]"),
    ],
)
def test_damaged_metadata_is_refused(tmp_path: pathlib.Path, old: str, new: str, problem: str) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.say("prompt", "stack")
    recording.close()
    metadata = tmp_path / "one" / "metadata.yaml"
    assert old in metadata.read_text()
    metadata.write_text(metadata.read_text().replace(old, new, 1))
    write(tmp_path / "two", last_ms=100)
    with pytest.raises(EpisodesError, match=problem):
        read_episodes(tmp_path, CONFIG)


def test_a_prompt_of_blanks_counts_as_none(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.arms(0, 100)
    recording.say("prompt", "  ")
    recording.close()
    assert read_episodes(tmp_path, CONFIG)[0].prompt == ""


@BOTH
def test_a_flipped_byte_is_refused_or_changes_one_value(tmp_path: pathlib.Path, storage: StoragePlugin) -> None:
    """It never ends in another error, and never changes the number of steps or more than values near each other."""
    file = write(tmp_path / "one", storage=storage, last_ms=100)
    content = file.read_bytes()
    (whole,) = read_episodes(tmp_path, CONFIG)
    random = np.random.default_rng(0)
    refused: list[str] = []
    for position in random.integers(0, len(content), 150):
        changed = bytearray(content)
        changed[position] ^= 1 << int(random.integers(8))
        file.write_bytes(changed)
        try:
            (episode,) = read_episodes(tmp_path, CONFIG)
            image = episode.cameras["cam_high"](0)
        except EpisodesError as error:
            refused.append(str(error))
            continue
        # The stamp of a message may be hit, so that the steps begin or end elsewhere.
        assert episode.states.shape[1] == 14 and abs(len(episode) - len(whole)) <= 2 and image.shape == (2, 4, 3)
    file.write_bytes(content)
    assert len(refused) > 10 and all("\n" not in text and "one" in text for text in refused)


def test_the_messages_of_a_chunk_are_compared_with_its_index(tmp_path: pathlib.Path) -> None:
    """The first message's time of recording is changed, which only the index tells."""
    file = write(tmp_path / "one", last_ms=100)
    content = file.read_bytes()
    received = (START + MS).to_bytes(8, "little")
    changed = (START + 2 * MS).to_bytes(8, "little")
    place = content.index(received + received)  # recorded and published
    file.write_bytes(content[:place] + changed + content[place + 8 :])
    with pytest.raises(EpisodesError, match=r"one\.mcap: a chunk must have the messages of its index"):
        read_episodes(tmp_path, CONFIG)


def test_a_bag_without_definitions_has_the_standard_types(tmp_path: pathlib.Path) -> None:
    """Versions of rosbag2 before Iron write no definitions, and fewer columns."""
    file = write(tmp_path / "one", storage=StoragePlugin.SQLITE3, last_ms=100)
    with sqlite3.connect(file) as database:
        database.execute("DROP TABLE message_definitions")
        database.execute("ALTER TABLE topics DROP COLUMN type_description_hash")
    database.close()
    (episode,) = read_episodes(tmp_path, CONFIG)
    assert len(episode) == 6 and episode.cameras["cam_high"](5)[0, 0, 0] == 10
