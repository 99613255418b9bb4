"""Tests of the commands that look at what a run has stored, remove what was trained on, and take a run back."""

from __future__ import annotations

import dataclasses
import queue
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.highlevel import AnyReader

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.stored_run import command, rollback_command
from chunk_ppo_ros.agent.stored_run.export_bags import MESSAGES
from chunk_ppo_ros.agent.stored_run.run_folders import RunFolders
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.flags.program import SHOWS_PROGRESS
from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED
from chunk_ppo_ros.core.errors import CheckpointError, UserError
from chunk_ppo_ros.core.units import GIBIBYTE
from chunk_ppo_ros.data import journal_index
from chunk_ppo_ros.data.bags.bag_writer import load_types
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.data.store import Entry, Store, StoreLocked, read_payload, read_store
from chunk_ppo_ros.data.store.segment_file import list_segments
from chunk_ppo_ros.evaluation.bench.bench_inputs import random_observation, transition_of
from chunk_ppo_ros.nodes.common.reports.report_outbox import REPORT
from chunk_ppo_ros.nodes.policy.policy_records import Kind
from chunk_ppo_ros.nodes.reward.durable import run_log
from chunk_ppo_ros.nodes.trainer.disk_need import DiskNeed
from chunk_ppo_ros.nodes.wire import conversions, topics
from support import small_policy
from support.damage import flip
from support.patience import PATIENCE

NUM_CHUNKS, NUM_UPDATES = 2, 3


def train(config: TrainConfig) -> None:
    """Makes updates from transitions that are stored one in a file, as trainer_node does."""
    learner = Learner.start(config)
    random = np.random.default_rng(0)
    with opened(config.run.folder, learner) as journal:
        for _ in range(NUM_UPDATES):
            actor = Actor(config, learner.checkpoint, policy_version=learner.policy_version)
            transitions = []
            for _ in range(NUM_CHUNKS):
                number = learner.counters.next_sequence_number + len(transitions)
                seen = dataclasses.replace(random_observation(config.model, random), prompt="reach")
                made = transition_of(actor.act(actor.observe(seen), sequence_number=number), number, random)
                made = dataclasses.replace(made, id=dataclasses.replace(made.id, run_id=learner.run_id))
                transitions.append(made)
                add(journal, made.id.key, serialize_message(conversions.transition_to_message(made)))
            learner.update(transitions)
            learner.save()
        add(journal, ("robot_0", 100), b"waits for an update")


class opened:  # noqa: N801 - it is used like a function
    """Opens the journal of a run as a learner knows it, one transition in a file."""

    def __init__(self, folder: Path, learner: Learner) -> None:
        self.journal = RolloutJournal(folder / "store" / "journal", segment_bytes=1)
        self.learner = learner

    def __enter__(self) -> RolloutJournal:
        self.journal.open()
        self.journal.begin_run(self.learner.run_id, self.learner.consumed)
        return self.journal

    def __exit__(self, *error: object) -> None:
        self.journal.close()


def add(journal: RolloutJournal, key: tuple[str, int], raw: bytes) -> None:
    results: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
    journal.add(key, raw, results.put)
    assert results.get(timeout=PATIENCE) is None


def configure(folder: Path, *, resume: bool = False) -> TrainConfig:
    config = small_policy.configure(folder, run={"resume": resume, "keep_checkpoints": 10})
    ppo = dataclasses.replace(config.ppo, num_chunks_per_update=NUM_CHUNKS, batch_size=2)
    return dataclasses.replace(config, ppo=ppo)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a run that made its updates, and has one transition that waits."""
    folder = tmp_path_factory.mktemp("trained")
    train(configure(folder))
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """Returns a copy of the folder that a test may change."""
    shutil.copytree(trained, tmp_path / "copy")
    return tmp_path / "copy"


def run_folder(folder: Path) -> Path:
    (path,) = (folder / "runs").iterdir()
    return path


def flags(folder: Path) -> list[str]:
    (checkpoints,) = (folder / "checkpoints").iterdir()
    return [str(run_folder(folder)), "--checkpoints", str(checkpoints)]


def steps(folder: Path) -> list[str]:
    return sorted(path.name for path in Path(flags(folder)[2]).iterdir())


def waiting(folder: Path) -> tuple[tuple[str, int], ...]:
    """Returns the transitions that wait for an update where the run is resumed."""
    learner = Learner.start(configure(folder, resume=True))
    with opened(run_folder(folder), learner) as journal:
        return journal.waiting()


def test_the_stores_of_a_run_are_listed_and_verified(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list", str(run_folder(copy))]) == 0
    line = capsys.readouterr().out.splitlines()[1].split()
    assert line[:3] == ["journal", str(NUM_UPDATES * NUM_CHUNKS + 1), str(NUM_UPDATES * NUM_CHUNKS + 1)]
    assert line[4:] == ["nothing"]
    assert command.main(["verify", str(run_folder(copy))]) == 0
    assert "journal: 7 records were read, and the store is right" in capsys.readouterr().out
    place = read_store(run_folder(copy) / "store" / "journal").records[2]
    data = bytearray(place.segment.read_bytes())
    data[place.payload_offset] ^= 1
    place.segment.write_bytes(data)
    assert command.main(["verify", str(run_folder(copy))]) == 1
    assert "record 2 is lost (kind 1, sender robot_0, number 2)" in capsys.readouterr().out


def test_reading_stores_shows_how_far_it_is(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHOWS_PROGRESS, "1")
    command.main(["verify", str(run_folder(copy))])
    assert "reading the store journal:   0%|          | 0/7 " in capsys.readouterr().err


def test_the_oldest_transitions_that_were_trained_on_are_removed(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = run_folder(copy) / "store" / "journal"
    size = sum(path.stat().st_size for path in list_segments(journal))
    command.main(["prune", *flags(copy), "--max_disk", str(size / GIBIBYTE)])
    assert "0 files are removed" in capsys.readouterr().out
    command.main(["prune", *flags(copy), "--max_disk", "0", "--all_trained"])
    assert "4 files are removed" in capsys.readouterr().out
    assert [place.key.number for place in read_store(journal).records] == [4, 5, 100]
    assert waiting(copy) == (("robot_0", 100),)
    (Path(flags(copy)[2]) / "step_3" / "metadata.json").write_text("{")
    rollback_command.main([*flags(copy), "--to", "step_2"])
    assert [number for _, number in waiting(copy)] == [4, 5, 100]  # What a damaged checkpoint took is still there.


def test_what_a_rollback_to_a_kept_checkpoint_needs_stays(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(["prune", *flags(copy), "--max_disk", "0"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0 files are removed") and "after a rollback to step_0" in lines[1]
    shutil.rmtree(Path(flags(copy)[2]) / "step_0")
    command.main(["prune", *flags(copy), "--max_disk", "0"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 files are removed") and "after a rollback to step_1" in lines[1]
    rollback_command.main([*flags(copy), "--to", "step_1"])
    assert [number for _, number in waiting(copy)] == [2, 3, 4, 5, 100]


def test_stopped_runs_only_are_pruned_and_taken_back(copy: Path) -> None:
    store = Store(run_folder(copy) / "store" / "journal", name="journal")
    store.open()
    with pytest.raises(StoreLocked, match="must be written by one process"):
        command.main(["prune", *flags(copy), "--max_disk", "1"])
    with pytest.raises(StoreLocked, match="must be written by one process"):
        rollback_command.main([*flags(copy), "--to", "step_1"])
    assert "step_3" in steps(copy)
    store.close()


def test_after_a_rollback_the_transitions_of_the_undone_updates_wait_again(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rollback_command.main([*flags(copy), "--to", "step_1"]) == 0
    assert "2 checkpoints after step_1 are moved" in capsys.readouterr().out
    assert steps(copy) == ["step_0", "step_1", "undone"]
    assert sorted(path.name for path in (Path(flags(copy)[2]) / "undone").iterdir()) == ["step_2", "step_3"]
    assert [number for _, number in waiting(copy)] == [2, 3, 4, 5, 100]


def test_a_second_rollback_keeps_what_the_first_has_undone(copy: Path) -> None:
    checkpoints = Path(flags(copy)[2])
    rollback_command.main([*flags(copy), "--to", "step_2"])
    shutil.copytree(checkpoints / "undone" / "step_3", checkpoints / "step_3")
    rollback_command.main([*flags(copy), "--to", "step_2"])
    assert sorted(path.name for path in (checkpoints / "undone").iterdir()) == ["step_3", "step_3_2"]


def test_a_rollback_may_leave_out_what_undone_weights_have_sampled(copy: Path) -> None:
    rollback_command.main([*flags(copy), "--to", "step_1", "--leave_out"])
    assert [number for _, number in waiting(copy)] == [2, 3]  # those that the weights of step_1 have sampled


def test_the_newest_checkpoint_keeps_what_its_own_weights_have_sampled(copy: Path) -> None:
    learner = Learner.start(configure(copy, resume=True))
    raw = next(iter(transitions_of(learner, copy)))
    with opened(run_folder(copy), learner) as journal:
        add(journal, ("robot_0", 101), raw)
    rollback_command.main([*flags(copy), "--to", "step_3", "--leave_out"])
    assert [number for _, number in waiting(copy)] == [101]  # 100 cannot be read.


def transitions_of(learner: Learner, folder: Path) -> Iterator[bytes]:
    """Returns stored transitions as if the weights of a learner had sampled them."""
    for place in read_store(run_folder(folder) / "store" / "journal").records:
        message = deserialize_message(read_payload(place), msg.Transition)
        message.chunk.policy_version = learner.policy_version
        yield serialize_message(message)


@pytest.mark.parametrize("damaged", ["metadata.json", "consumed.json"])
@pytest.mark.parametrize("leave_out", [[], ["--leave_out"]])
def test_a_run_whose_newest_checkpoint_is_damaged_is_taken_back_to_the_one_before(
    copy: Path, damaged: str, leave_out: list[str]
) -> None:
    (Path(flags(copy)[2]) / "step_3" / damaged).write_text("{")
    rollback_command.main([*flags(copy), "--to", "step_2", *leave_out])
    assert [number for _, number in waiting(copy)] == ([4, 5] if leave_out else [4, 5, 100])


def test_a_rollback_says_what_is_not_stored_any_more(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in list_segments(run_folder(copy) / "store" / "journal")[:3]:
        path.unlink()
    rollback_command.main([*flags(copy), "--to", "step_1"])
    assert "1 transition of the undone updates is not stored any more (run.max_disk)" in capsys.readouterr().out


def test_a_rollback_to_a_checkpoint_that_is_not_there_names_those_that_are(copy: Path) -> None:
    with pytest.raises(UserError, match="got 'step_9'; .* has step_0, step_1, step_2, step_3"):
        rollback_command.main([*flags(copy), "--to", "step_9"])


def test_messages_are_exported_as_bags(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = run_folder(copy) / "store" / "journal"
    last = list_segments(journal)[-1]
    last.unlink()  # The transition that waits is no message.
    command.main(["export", str(run_folder(copy)), "--to", str(tmp_path / "bags")])
    assert capsys.readouterr().out == "journal: 6 messages\n"
    types = load_types(["chunk_ppo_msgs/msg/Transition"])
    with AnyReader([tmp_path / "bags" / "journal" / "part_0000"], default_typestore=types) as reader:
        messages = list(reader.messages())
    assert [connection.topic for connection, _, _ in messages] == ["transition"] * 6
    stored = [place.key.number for place in read_store(journal).records]
    read = [types.deserialize_cdr(raw, connection.msgtype).chunk for connection, _, raw in messages]
    assert [chunk.sequence_number for chunk in read] == stored
    assert [time for _, time, _ in messages] == [
        chunk.header.stamp.sec * 10**9 + chunk.header.stamp.nanosec for chunk in read
    ]
    with pytest.raises(UserError, match="must not exist yet"):
        command.main(["export", str(run_folder(copy)), "--to", str(tmp_path / "bags")])


def test_a_run_without_stores_is_refused_with_those_that_have_some(tmp_path: Path) -> None:
    Store(tmp_path / "mine" / "store" / "journal", name="journal").open()
    with pytest.raises(UserError, match="got 'other'; the runs here are mine"):
        RunFolders.find("other", runs=tmp_path)
    with pytest.raises(UserError, match="the runs here are none; start the command in the folder that has runs/"):
        RunFolders.find("other", runs=tmp_path / "mine")
    assert RunFolders.find("mine", runs=tmp_path).folder == tmp_path / "mine"


def test_nothing_is_removed_without_a_checkpoint_that_says_what_was_trained_on(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs" / "mine" / "store" / "journal", name="journal", run_id="run")
    store.open()
    store.append([Entry(1, "robot_0", 0, b"")])
    store.close()
    with pytest.raises(CheckpointError, match="must have a checkpoint that says which transitions"):
        command.main(["prune", str(tmp_path / "runs" / "mine"), "--max_disk", "0"])


def test_the_types_of_stored_messages_are_those_of_their_topics() -> None:
    found = (getattr(topics, name) for name in dir(topics))
    by_name = {topic.name: topic for topic in found if isinstance(topic, topics.Topic)}
    for message in MESSAGES.values():
        assert by_name[message.topic].type_name == message.type_name
    kinds = {
        ("journal", journal_index.TRANSITION): "transition",
        ("policy", int(Kind.CHUNK)): "action_chunk",
        ("policy", int(Kind.BOOTSTRAP)): "bootstrap",
        ("reward", run_log.OUTCOME): "chunk_outcome",
        ("reward", run_log.TRANSITION): "transition",
        ("robot", REPORT): "execution_result",
        ("sim", REPORT): "task_reward",
        ("classifier", REPORT): "task_reward",
    }
    assert {place: message.topic for place, message in MESSAGES.items()} == kinds


def test_what_a_run_needs_in_an_hour_is_about_five_gigabytes_for_a_robot_at_full_size(tmp_path: Path) -> None:
    need = DiskNeed.of(PRESETS["full"])
    assert 4.5e9 < need.per_hour < 5.5e9
    assert "GiB an hour for each robot (4" in need.sentence(tmp_path / "runs" / "new")


def test_a_disk_with_less_room_than_the_budget_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need = DiskNeed.of(PRESETS["full"])
    assert need.is_met(tmp_path) == ("which is less" not in need.sentence(tmp_path))
    monkeypatch.setattr("chunk_ppo_ros.nodes.trainer.disk_need.free_bytes", lambda folder: 10**9)
    assert not need.is_met(tmp_path)
    assert "which is less; lower run.max_disk" in need.sentence(tmp_path)


def test_the_journal_keeps_what_waits_whatever_the_budget(tmp_path: Path) -> None:
    journal = RolloutJournal(tmp_path, segment_bytes=1)
    journal.open()
    journal.begin_run("run", NOTHING_CONSUMED)
    for number in range(4):
        add(journal, ("robot_0", number), bytes(100))
    assert journal.remove_oldest(max_bytes=0) == []
    first = NOTHING_CONSUMED.after(1, [("robot_0", 0)])
    journal.mark_consumed(first)
    assert journal.remove_oldest(max_bytes=0) == []  # The run may have to go back to the checkpoint before.
    journal.mark_consumed(first.after(2, [("robot_0", 2)]))
    assert len(journal.remove_oldest(max_bytes=0)) == 1
    journal.close()


def test_one_checkpoint_is_moved(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rollback_command.main([*flags(copy), "--to", "step_2"])
    assert capsys.readouterr().out.startswith("1 checkpoint after step_2 is moved to ")


def test_a_run_of_the_command_train_is_taken_back_too(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has no stores."""
    shutil.rmtree(run_folder(copy) / "store")
    with pytest.raises(UserError, match="must be a folder with stores"):
        command.main(["list", str(run_folder(copy))])
    rollback_command.main([*flags(copy), "--to", "step_1"])
    assert capsys.readouterr().out.splitlines()[1] == "the run goes on from step_1 when it is resumed"
    assert not (run_folder(copy) / "store").exists()
    assert Learner.start(configure(copy, resume=True)).policy_version == 1


def test_a_rollback_to_a_damaged_checkpoint_is_refused_and_moves_nothing(copy: Path) -> None:
    checkpoints = Path(flags(copy)[2])
    flip(sorted((checkpoints / "step_1" / "params").rglob("*"))[-1])
    with pytest.raises(CheckpointError, match="step_1/params/.* was changed since it was written"):
        rollback_command.main([*flags(copy), "--to", "step_1"])
    assert "step_3" in steps(copy)
