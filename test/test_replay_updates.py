"""Tests that the updates of a run are made again from its stored transitions, and that a difference is found."""

from __future__ import annotations

import dataclasses
import queue
import shutil
from pathlib import Path

import pytest
from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message, serialize_message

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.stored_run.run_folders import RunFolders
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.data.store import read_payload, read_store
from chunk_ppo_ros.nodes.trainer.replay_updates import Replay, ReplayError, main, replay
from chunk_ppo_ros.nodes.wire import conversions
from support import small_policy
from support.patience import PATIENCE
from support.rollouts import sampled_rollout

NUM_CHUNKS, NUM_UPDATES = 4, 2


def configure(folder: Path) -> TrainConfig:
    imitated = folder / "imitated"
    if not imitated.exists():
        small_policy.save_openpi(imitated)
    run = {"pretrained_checkpoint_path": str(imitated), "on_load_failure": "fail", "keep_checkpoints": 10}
    config = small_policy.configure(folder, run=run)
    ppo = dataclasses.replace(config.ppo, num_chunks_per_update=NUM_CHUNKS, batch_size=2)
    return dataclasses.replace(config, ppo=ppo, reward=dataclasses.replace(config.reward, novelty_weight=0.5))


def rollout(learner: Learner, config: TrainConfig) -> list[Transition]:
    """Returns sampled chunks that belong to the learner's run."""
    made = sampled_rollout(learner, config)
    return [dataclasses.replace(one, id=dataclasses.replace(one.id, run_id=learner.run_id)) for one in made]


def stored(journal: RolloutJournal, transition: Transition) -> Transition:
    """Stores a transition and returns it as trainer_node reads it."""
    results: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
    raw = serialize_message(conversions.transition_to_message(transition))
    journal.add(transition.id.key, raw, results.put)
    assert results.get(timeout=PATIENCE) is None
    return conversions.transition_from_message(deserialize_message(raw, msg.Transition))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a run that made its updates from stored transitions, in two files of the journal."""
    folder = tmp_path_factory.mktemp("replay")
    config = configure(folder)
    learner = Learner.start(config)
    journal = RolloutJournal(config.run.folder / "store" / "journal", segment_bytes=1)
    journal.open()
    journal.begin_run(learner.run_id, learner.consumed)
    for _ in range(NUM_UPDATES):
        learner.update([stored(journal, one) for one in reversed(rollout(learner, config))])
        learner.save()
    journal.close()
    return folder


def run_of(folder: Path) -> RunFolders:
    return RunFolders(folder / "runs" / "debug", folder / "checkpoints" / "debug")


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "runs" / "debug" / "store" / "journal").glob("*.log"))


def test_all_updates_give_the_same_bits_again(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(trained / "runs" / "debug")]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("replay-updates: versions 1 to 2 of debug-")
    assert ", made again from 8 transitions, have equal weights (sha256 " in line


def test_a_transition_with_another_value_is_found(trained: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained, tmp_path / "copy")
    run = run_of(folder)
    store = run.folder / "store" / "journal"
    places = read_store(store).records
    messages = [deserialize_message(read_payload(place), msg.Transition) for place in places]
    messages[NUM_CHUNKS].chunk.value += 1.0
    shutil.rmtree(store)
    journal = RolloutJournal(store)
    journal.open()
    journal.begin_run(messages[0].chunk.run_id, NOTHING_CONSUMED)
    for message in messages:
        stored(journal, conversions.transition_from_message(message))
    journal.close()
    result = replay(run)
    assert (result.first, result.last, result.is_equal) == (1, 2, False)
    assert "have other weights at version 2" in str(result)


def test_it_begins_where_all_transitions_are_stored(trained: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained, tmp_path / "copy")
    segments(folder)[0].unlink()  # as the budget of the disk has it
    result = replay(run_of(folder))
    assert (result.first, result.last, result.num_chunks, result.is_equal) == (2, 2, NUM_CHUNKS, True)
    segments(folder)[-1].unlink()
    with pytest.raises(ReplayError, match=r"no update of debug-.* can be made again: 1 transition of version 2 is not"):
        replay(run_of(folder))


def test_the_checkpoints_may_be_elsewhere(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(trained, tmp_path / "copy")
    moved = (folder / "checkpoints" / "debug").rename(tmp_path / "moved")
    monkeypatch.chdir(folder)
    assert main(["debug", "--checkpoints", str(moved)]) == 0
    with pytest.raises(UserError, match=r"a run must be a folder with stores, .* got 'other'; the runs here are debug"):
        main(["other"])


def test_what_cannot_be_made_again_is_said(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match=r"a run must have a checkpoint, got none in .*; name the folder of"):
        replay(run_of(tmp_path))
    folder = shutil.copytree(trained, tmp_path / "copy")
    for version in range(NUM_UPDATES):
        shutil.rmtree(folder / "checkpoints" / "debug" / f"step_{version}")
    with pytest.raises(ReplayError, match=r"it has one checkpoint \(run.keep_checkpoints\)"):
        replay(run_of(folder))


def test_the_number_of_processors_is_a_reason_that_is_said() -> None:
    result = Replay("run", 1, 3, 12, "0123", is_equal=False, num_processors=(2, 1))
    assert str(result) == (
        "replay-updates: versions 1 to 3 of run, made again from 12 transitions, have other weights at version 3; the "
        "run used 2 processors, this process 1: use as many"
    )
