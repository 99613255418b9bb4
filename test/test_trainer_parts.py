"""Tests the parts of trainer_node: its answers, what it writes of updates and episodes, and its bars of progress."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from chunk_ppo_msgs import msg
from rclpy.serialization import serialize_message

from chunk_ppo_ros.config import EpisodeConfig, TrainConfig
from chunk_ppo_ros.core.errors import FRESH_UNASKED
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.types import ChunkId, Transition
from chunk_ppo_ros.data.journal import TransitionJournal
from chunk_ppo_ros.model.checkpoints.metadata import Provenance
from chunk_ppo_ros.nodes.common import progress_bars
from chunk_ppo_ros.nodes.trainer.acknowledger import Acknowledger
from chunk_ppo_ros.nodes.trainer.rollout_buffer import Acknowledgment, RolloutBuffer
from chunk_ppo_ros.nodes.trainer.training_log import TrainingLog
from chunk_ppo_ros.nodes.trainer.training_run import TrainingRun
from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from support.fake_node import FakeNode
from support.toy_policy import transition

ACK, EVENT = msg.TransitionAck, msg.EpisodeEvent


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


def make_buffer(folder: pathlib.Path, **changes: Any) -> RolloutBuffer:
    """Returns a buffer of version 3 of the run "run" that two transitions fill."""
    fields: dict[str, Any] = {"run_id": "run", "version": 3, "num_required": 2, "check": lambda transition: None}
    return RolloutBuffer(**(fields | {"journal": TransitionJournal(folder / "journal")} | changes))


def sent(number: int, *, version: int = 3, **fields: Any) -> msg.Transition:
    one = transition(number, **fields)
    chunk = dataclasses.replace(one.chunk, policy_version=version)
    return conversions.transition_to_message(dataclasses.replace(one, chunk=chunk))


# The tests below check which transitions trainer_node accepts.


def test_an_acknowledgment_says_how_full_the_rollout_is(node: FakeNode, tmp_path: pathlib.Path) -> None:
    acknowledger, buffer = Acknowledger(node, num_required=2), make_buffer(tmp_path)  # type: ignore[arg-type]
    buffer.add(b"raw", sent(7))
    node.now = 12_000_000_034
    acknowledger.acknowledge(ChunkId("run", 7, 0, 0, sender="robot_7"), Acknowledgment(ACK.ACCEPTED), buffer)
    acknowledger.acknowledge(ChunkId("run", 8, 0, 0), Acknowledgment(ACK.RETRY, "not active"), None)
    accepted, retry = node.published("transition_ack")
    assert (accepted.run_id, accepted.sender, accepted.sequence_number) == ("run", "robot_7", 7)
    assert (accepted.status, accepted.message) == (ACK.ACCEPTED, "")
    assert time_to_ns(accepted.header.stamp) == 12_000_000_034
    assert (accepted.policy_version, accepted.num_accepted, accepted.num_required) == (3, 1, 2)
    assert (retry.status, retry.message) == (ACK.RETRY, "not active")
    assert (retry.policy_version, retry.num_accepted, retry.num_required) == (0, 0, 2)


def test_each_reason_against_transitions_is_logged_once_and_is_over_with_an_accepted_one(
    node: FakeNode, tmp_path: pathlib.Path
) -> None:
    acknowledger, buffer = Acknowledger(node, num_required=2), make_buffer(tmp_path)  # type: ignore[arg-type]
    for number in range(2):
        acknowledger.report(sent(number), Acknowledgment(ACK.RETRY, "the disk is full"), buffer)
        acknowledger.report(sent(number), Acknowledgment(ACK.REFUSED_INVALID, "no state"), buffer)
        acknowledger.report(sent(number, version=2), Acknowledgment(ACK.REFUSED_VERSION, f"late {number}"), buffer)
        acknowledger.report(sent(number), Acknowledgment(ACK.DUPLICATE), buffer)
    assert node.take_lines() == [
        ("error", "transitions cannot be accepted now: the disk is full"),
        ("error", "transition 0 is refused: no state"),
        ("warning", "transition 0 is refused, not trained on: late 0"),
    ]
    acknowledger.report(sent(2, version=1), Acknowledgment(ACK.REFUSED_VERSION, "later"), None)
    assert node.take_lines() == [("warning", "transition 2 is refused, not trained on: later")]
    acknowledger.report(sent(3), Acknowledgment(ACK.ACCEPTED), buffer)
    assert node.take_lines() == [
        ("info", "transitions are accepted again"),
        ("info", "transitions fit again"),
        ("info", "transitions are of the present version again"),
    ]


def test_the_buffer_decides_by_run_version_episode_room_and_check(tmp_path: pathlib.Path) -> None:
    def check(one: Transition) -> None:
        if one.outcome.reward > 5.0:
            raise ValueError("the reward must be small")

    buffer = make_buffer(tmp_path, check=check, trained=frozenset({1}))
    answers = [
        buffer.add(b"raw", message)
        for message in (
            sent(2, run_id="other"),
            sent(1),
            sent(2, version=2),
            sent(2, reward=6.0),
            sent(2, episode=4),
            sent(2, episode=4),
        )
    ]
    assert [(answer.status, answer.reason) for answer in answers] == [
        (ACK.REFUSED_INVALID, "run_id must be 'run', got 'other'"),
        (ACK.DUPLICATE, ""),
        (ACK.REFUSED_VERSION, "policy_version must be 3, got 2"),
        (ACK.REFUSED_INVALID, "the reward must be small"),
        (ACK.ACCEPTED, ""),
        (ACK.DUPLICATE, ""),
    ]
    assert (buffer.num_refused, buffer.num_accepted, buffer.is_complete) == (3, 1, False)
    assert [id.sequence_number for id in buffer.discard(4)] == [2]
    assert buffer.add(b"raw", sent(3, episode=4)) == Acknowledgment(ACK.DISCARDED, "episode 4 is discarded")
    for number in (6, 5):
        assert buffer.add(b"raw", sent(number)).status == ACK.ACCEPTED
    assert buffer.is_complete
    assert [one.id.sequence_number for one in buffer.transitions] == [5, 6]
    assert buffer.add(b"raw", sent(8)).reason == "the rollout of version 3 is complete"
    assert buffer.num_refused == 4


def test_the_journal_gives_back_what_still_fits(node: FakeNode, tmp_path: pathlib.Path) -> None:
    journal = TransitionJournal(tmp_path / "journal")
    for number, message in {5: sent(5), 4: sent(4, run_id="other")}.items():
        journal.add(serialize_message(message), version=3, sequence_number=number)
    journal.add(b"old", version=2, sequence_number=1)
    buffer = make_buffer(tmp_path)
    assert buffer.restore() == ["4: run_id must be 'run', got 'other'"]
    assert [one.id.sequence_number for one in buffer.transitions] == [5]
    learner: Any = SimpleNamespace(run_id="run", policy_version=3, check=lambda transition: None)
    run = TrainingRun(learner, 2, journal)
    run.restore(node, resume=True)  # type: ignore[arg-type]
    assert run.buffer.num_accepted == 1
    assert node.take_lines() == [
        ("info", "journals of past versions or other runs are removed: v2"),
        ("error", "a journaled transition is not used, 4: run_id must be 'run', got 'other'"),
        ("info", "1 transitions are restored from the journal"),
    ]
    fresh = TrainingRun(learner, 2, journal)
    fresh.restore(node, resume=False)  # type: ignore[arg-type]
    assert fresh.buffer.num_accepted == 0
    assert node.take_lines() == [("info", "journals of past versions or other runs are removed: v3")]
    fresh.restore(node, resume=True)  # type: ignore[arg-type]
    assert node.take_lines() == []


def test_a_run_that_began_with_weights_that_nobody_asked_for_says_so_at_its_end(
    node: FakeNode, tmp_path: pathlib.Path
) -> None:
    fallback = Provenance("scratch", "checkpoints/cup", is_fallback=True, reason="it is damaged")
    for origin, code in ((Provenance("scratch"), 0), (fallback, FRESH_UNASKED)):
        learner: Any = SimpleNamespace(run_id="run", policy_version=3, check=lambda transition: None, provenance=origin)
        run = TrainingRun(learner, 2, TransitionJournal(tmp_path / "journal"))
        assert run.exit_code(node) == code  # type: ignore[arg-type]
    text = "the run was trained from fresh weights, because checkpoints/cup could not be loaded: it is damaged"
    assert node.take_lines() == [("error", text)]


# The tests below check what trainer_node writes of updates and episodes.


class File:
    """Stands for a metrics file whose disk may be full."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, dict[str, float]]] = []
        self.labels: list[dict[str, str]] = []
        self.is_full = False
        self.is_closed = False

    def write(self, kind: str, metrics: Metrics, *, counters: Counters, labels: Mapping[str, str]) -> None:
        if self.is_full:
            raise OSError("the disk is full")
        self.labels.append(dict(labels))
        self.rows.append((kind, dict(metrics)))

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def log(node: FakeNode) -> TrainingLog:
    node.config = TrainConfig()  # type: ignore[attr-defined]
    return TrainingLog(node)  # type: ignore[arg-type]


def ended(episode: int, outcome: int, **fields: Any) -> msg.EpisodeEvent:
    return msg.EpisodeEvent(
        event=EVENT.ENDED, run_id="run", sender="robot_7", episode=episode, outcome=outcome, **fields
    )


def test_episodes_of_the_task_are_written_and_count_for_the_next_update(node: FakeNode, log: TrainingLog) -> None:
    counters, file = Counters("run"), File()
    log.write_episode(ended(0, EVENT.FAILURE), counters)  # There is no file yet.
    log.file = file  # type: ignore[assignment]
    log.write_episode(ended(1, EVENT.SUCCESS, total_reward=1.5, num_chunks=3), counters)
    log.write_episode(ended(2, EVENT.SUCCESS, intervened=True), counters)
    log.write_episode(ended(3, EVENT.TIME_LIMIT), counters)
    for outcome in (EVENT.NONE, EVENT.DISCARDED):
        log.write_episode(ended(4, outcome), counters)
    assert [kind for kind, _ in file.rows] == 3 * ["episode"]
    assert [row["episode/episode"] for _, row in file.rows] == [1.0, 2.0, 3.0]
    assert [row["episode/success"] for _, row in file.rows] == [1.0, 0.0, 0.0]
    assert [row["episode/intervened"] for _, row in file.rows] == [0.0, 1.0, 0.0]
    messages = node.published("training_metrics")
    assert [message.sender for message in messages] == 4 * ["robot_7"]
    log.write_update(Metrics({"loss/policy": 0.25}), counters)
    log.write_update(Metrics({"loss/policy": 0.25}), counters)
    assert file.rows[-1] == ("update", {"loss/policy": 0.25})
    assert [message.sender for message in node.published("training_metrics")] == ["", ""]
    times = msg.RunTimes(wall=600.0, motion=150.0)
    node.subscribers["episode_state"](msg.EpisodeState(run_id="run", times=times))
    log.write_update(Metrics({"loss/policy": 0.25}), counters)
    log.write_episode(ended(5, EVENT.SUCCESS), counters)
    for _, row in file.rows[-2:]:
        assert (row["run_time/wall"], row["run_time/motion"], row["run_time/paused"]) == (600.0, 150.0, 0.0)
    for message in node.published("training_metrics"):
        assert ("run_time/motion", 150.0) in [(metric.name, metric.value) for metric in message.metrics]
    first, second, _ = (text for _, text in node.take_lines())
    assert "1/4 episodes solved" in first
    assert "0/0 episodes solved" in second  # The episodes counted for the update before.


@pytest.mark.parametrize(("prompts", "apart"), [(("cup", "door"), True), (("cup",), False), ((), False)])
def test_an_episode_is_written_with_its_prompt_where_the_run_has_several(
    node: FakeNode, log: TrainingLog, prompts: tuple[str, ...], apart: bool
) -> None:
    node.config = TrainConfig(episode=EpisodeConfig(prompts=prompts))  # type: ignore[attr-defined]
    file = log.file = File()  # type: ignore[assignment]
    log.write_episode(ended(0, EVENT.SUCCESS, prompt="cup"), Counters("run"))
    assert file.labels == [{"episode/prompt": "cup"} if apart else {}]
    (message,) = node.published("training_metrics")
    of_prompt = {metric.name: metric.value for metric in message.metrics if metric.name.startswith("episode/success/")}
    assert of_prompt == ({"episode/success/cup": 1.0} if apart else {})


def test_a_full_disk_is_told_once_and_does_not_stop_training(node: FakeNode, log: TrainingLog) -> None:
    file = File()
    log.file, file.is_full = file, True  # type: ignore[assignment]
    for episode in range(2):
        log.write_episode(ended(episode, EVENT.SUCCESS), Counters("run"))
    assert node.take_lines() == [("error", "metrics cannot be written: the disk is full")]
    file.is_full = False
    log.write_episode(ended(2, EVENT.SUCCESS), Counters("run"))
    assert node.take_lines() == [("info", "metrics are written again")]
    log.close()
    log.close()
    assert (file.is_closed, log.file) == (True, None)


# The tests below check the bars of progress.


class Bar:
    """Stands for a bar of tqdm."""

    made: list[Bar] = []  # noqa: RUF012 - tests set it

    def __init__(self, *, total: int | None = None, initial: int = 0, **settings: Any) -> None:
        self.total, self.n, self.settings, self.is_open = total, initial, settings, True
        Bar.made.append(self)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, more: int = 1) -> None:
        self.n += more

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    monkeypatch.setattr(progress_bars, "tqdm", Bar)
    monkeypatch.setattr(Bar, "made", [])
    return Bar.made


def test_the_bar_of_a_rollout_counts_chunks_and_makes_room_for_the_next(bars: list[Bar]) -> None:
    bar = progress_bars.RolloutBar()
    bar.update()
    bar.close()
    assert bars == []
    bar.open(version=4, num_accepted=2, num_required=8)
    bar.update()
    (first,) = bars
    assert (first.total, first.n, first.is_open) == (8, 3, True)
    assert first.settings == {"desc": "version 4 rollout", "unit": "chunk", "leave": False}
    bar.open(version=5, num_accepted=0, num_required=8)
    assert [one.is_open for one in bars] == [False, True]
    bar.close()
    bar.update()
    assert (bars[1].is_open, bars[1].n) == (False, 0)


def test_the_bar_of_an_update_shows_how_many_minibatches_are_done(bars: list[Bar]) -> None:
    with progress_bars.update_bar(4) as on_minibatch:
        (bar,) = bars
        for done in (1, 2, 5):
            on_minibatch(done, 8)
            assert (bar.n, bar.total) == (done, 8)
    assert not bar.is_open
    assert bar.settings == {"desc": "version 4 update", "unit": "minibatch", "leave": False}
