"""What was recorded or journaled with other messages is refused by a sentence that says what to do."""

from __future__ import annotations

import pathlib

import pytest

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError, UserError
from chunk_ppo_ros.data.bag_writer import BagRecorder
from chunk_ppo_ros.data.journal import TransitionJournal
from chunk_ppo_ros.data.message_format import FORMAT
from chunk_ppo_ros.data.readers import read_episodes
from support.old_messages import load_old_types, old_message

RECORDED = {
    "action_chunk": "chunk_ppo_msgs/msg/ActionChunk",
    "execution_result": "chunk_ppo_msgs/msg/ExecutionResult",
    "chunk_outcome": "chunk_ppo_msgs/msg/ChunkOutcome",
}


def test_a_bag_of_older_messages_is_refused_by_one_sentence(tmp_path: pathlib.Path) -> None:
    types, folder = load_old_types(), tmp_path / "bag"
    recorder = BagRecorder(folder, types, part_bytes=1 << 30, total_bytes=1 << 40)
    for topic, name in RECORDED.items():
        recorder.write(f"/{topic}", name, 1, old_message(types, name.split("/")[-1]))
    recorder.close()
    with pytest.raises(EpisodesError) as caught:
        read_episodes(folder, TrainConfig())
    assert str(caught.value) == (
        f"a recording must have message format {FORMAT}, got an older one in {folder / 'part_0000'}; read it with the "
        "version of chunk_ppo_ros that recorded it, or record again"
    )


def test_a_journal_of_older_messages_is_refused_by_one_sentence(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "journal" / "v3" / "7.cdr"
    path.parent.mkdir(parents=True)
    path.write_bytes(old_message(load_old_types(), "Transition", sequence_number=7, policy_version=3))
    journal = TransitionJournal(tmp_path / "journal")
    with pytest.raises(UserError) as caught:
        journal.read(version=3)
    assert str(caught.value) == (
        f"a journaled transition must have message format {FORMAT}, got another one in {path}; go on with the version "
        f"of chunk_ppo_ros that wrote it until the next update, or remove {path.parent} and have its chunks sampled "
        "again"
    )
    assert path.is_file()  # whoever has the older version can still use it
