"""Tests that the command train takes nothing from a run that a graph has begun."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from chunk_ppo_ros.agent import train
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.run_start.held_journal import held_journal
from chunk_ppo_ros.agent.run_start.starting_checkpoint import open_start
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.data.store import Entry, Store, StoreLocked
from support import small_policy
from support.patience import PATIENCE

ROBOT = "robot_0"


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    """Returns a learner whose run is in the folder of the test."""
    imitation = small_policy.save_openpi(tmp_path / "imitation")
    return Learner.start(small_policy.configure(tmp_path, run={"pretrained_checkpoint_path": str(imitation)}))


def first_number(folder: Path, *, resume: bool = True) -> int:
    run = small_policy.configure(folder, run={"resume": resume}).run
    with held_journal(run, open_start(run)) as number:
        return number


def stores(folder: Path) -> Path:
    return small_policy.configure(folder).run.folder / "store"


def journal_of(folder: Path, learner: Learner) -> RolloutJournal:
    journal = RolloutJournal(stores(folder) / "journal")
    journal.open()
    journal.begin_run(learner.run_id, learner.consumed)
    return journal


def store(journal: RolloutJournal, *numbers: int, left_out: bool = False) -> None:
    results: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
    for number in numbers:
        journal.add((ROBOT, number), b"transition", results.put)
        assert results.get(timeout=PATIENCE) is None
        if left_out:
            journal.leave_out((ROBOT, number), "it is broken", results.put)
            assert results.get(timeout=PATIENCE) is None


def test_a_run_of_the_command_train_gets_no_store(tmp_path: Path, learner: Learner) -> None:
    assert first_number(tmp_path) == 0
    assert not stores(tmp_path).exists()


def test_a_run_whose_transitions_wait_is_refused_in_one_line(
    tmp_path: Path, learner: Learner, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = journal_of(tmp_path, learner)
    store(journal, 0, 1)
    journal.close()
    config = small_policy.configure(tmp_path)
    places = ["--run_dir", config.run.run_dir, "--checkpoint_root", config.run.checkpoint_root]
    with pytest.raises(UserError, match="2 transitions wait for an update in .*store; go on by the command graph"):
        train.main(["--config", "debug", "--no_wandb", "--resume", *places])
    journal = journal_of(tmp_path, learner)
    assert journal.waiting() == ((ROBOT, 0), (ROBOT, 1))
    journal.close()


def test_transitions_of_an_earlier_release_count_too(tmp_path: Path, learner: Learner) -> None:
    folder = small_policy.configure(tmp_path).run.folder / "journal" / "v0"
    folder.mkdir(parents=True)
    (folder / "3.cdr").touch()
    with pytest.raises(UserError, match="1 transition waits for an update"):
        first_number(tmp_path)


def test_transitions_that_no_trainer_has_answered_count_too(tmp_path: Path, learner: Learner) -> None:
    journal = journal_of(tmp_path, learner)
    store(journal, 3, left_out=True)
    journal.close()
    outcome, transition, answer = 1, 3, 3 + 128
    of_reward_node = Store(stores(tmp_path) / "reward", name="reward", run_id=learner.run_id)
    of_reward_node.open()
    of_reward_node.append([Entry(kind, ROBOT, 2, b"answered") for kind in (outcome, transition, answer)])
    of_reward_node.append([Entry(transition, ROBOT, 3, b"answered, but a power cut has lost it")])
    of_reward_node.append([Entry(kind, ROBOT, 4, b"discarded") for kind in (outcome, transition, outcome)])
    assert first_number(tmp_path) == 4
    of_reward_node.append([Entry(transition, ROBOT, 5, b"it waits")])
    with pytest.raises(UserError, match="1 transition waits for an update in .*store; go on by the command graph"):
        first_number(tmp_path)
    of_reward_node.begin_run("another")
    of_reward_node.append([Entry(answer, ROBOT, 5, b"of another run")])
    of_reward_node.close()
    with pytest.raises(UserError, match="1 transition waits"):
        first_number(tmp_path)


def test_numbers_that_the_graph_has_used_are_not_used_again(tmp_path: Path, learner: Learner) -> None:
    journal = journal_of(tmp_path, learner)
    store(journal, 7, left_out=True)
    journal.close()
    assert first_number(tmp_path) == 8
    policy = Store(stores(tmp_path) / "policy", name="policy", run_id=learner.run_id)
    policy.open()
    policy.append([Entry(3, ROBOT, 12, b"{}"), Entry(1, ROBOT, 11, b"chunk"), Entry(4, ROBOT, 10**18, b"segment")])
    policy.close()
    assert first_number(tmp_path) == 12
    path = next((stores(tmp_path) / "policy").glob("*.log"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert first_number(tmp_path) == 1012


def test_a_run_that_a_graph_trains_now_is_refused(tmp_path: Path, learner: Learner) -> None:
    journal = journal_of(tmp_path, learner)
    with pytest.raises(StoreLocked, match="must be written by one process"):
        first_number(tmp_path)
    journal.close()
    assert first_number(tmp_path) == 0


def test_a_new_run_does_not_look_at_the_journal_of_another_one(tmp_path: Path, learner: Learner) -> None:
    journal = journal_of(tmp_path, learner)
    assert first_number(tmp_path, resume=False) == 0
    journal.close()
