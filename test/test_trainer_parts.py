"""Tests the parts of trainer_node: its answers, what it writes of updates and episodes, and its bars of progress."""

from __future__ import annotations

import dataclasses
import errno
import pathlib
import queue
import re
import time
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from chunk_ppo_msgs import msg
from rclpy.serialization import serialize_message

from chunk_ppo_ros.config import EpisodeConfig, TrainConfig
from chunk_ppo_ros.config.flags.program import SHOWS_PROGRESS
from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED, Consumed
from chunk_ppo_ros.core.consumption.number_window import NumberWindow
from chunk_ppo_ros.core.errors import FRESH_UNASKED
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.types import ChunkId, Transition
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.model.checkpoints.metadata import Provenance
from chunk_ppo_ros.nodes.common import progress_bars
from chunk_ppo_ros.nodes.trainer.acknowledger import Acknowledger
from chunk_ppo_ros.nodes.trainer.acknowledgment import Acknowledgment
from chunk_ppo_ros.nodes.trainer.intake.checks import IntakeChecks
from chunk_ppo_ros.nodes.trainer.rollout_buffer import RolloutBuffer
from chunk_ppo_ros.nodes.trainer.training_log import TrainingLog
from chunk_ppo_ros.nodes.trainer.training_run import TrainingRun
from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns
from support.fake_node import FakeNode
from support.patience import PATIENCE
from support.toy_policy import transition

ACK, EVENT = msg.TransitionAck, msg.EpisodeEvent


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def journal(tmp_path: pathlib.Path) -> Iterator[RolloutJournal]:
    """Returns a journal of the run "run", which has trained on the chunk 1."""
    journal = open_journal(tmp_path / "journal", NOTHING_CONSUMED.after(3, [("robot_0", 1)]))
    yield journal
    journal.close()


def open_journal(folder: pathlib.Path, consumed: Consumed) -> RolloutJournal:
    journal = RolloutJournal(folder)
    journal.open()
    journal.begin_run("run", consumed)
    return journal


def make_buffer(journal: RolloutJournal, **changes: Any) -> RolloutBuffer:
    """Returns a buffer of version 3 of the run "run" that two transitions fill."""
    fields: dict[str, Any] = {"run_id": "run", "version": 3, "num_required": 2, "check": lambda transition: None}
    return RolloutBuffer(**(fields | {"journal": journal} | changes))


def sent(number: int, *, version: int = 3, stamp: int = 0, sender: str = "robot_0", **fields: Any) -> msg.Transition:
    one = transition(number, **fields)
    chunk = dataclasses.replace(one.chunk, policy_version=version)
    id = dataclasses.replace(one.id, sender=sender)
    message = conversions.transition_to_message(dataclasses.replace(one, chunk=chunk, id=id))
    message.chunk.header.stamp.sec = stamp
    return message


class Rollouts:
    """A training run whose learner is a stand-in, and the answers to what it is sent."""

    def __init__(self, journal: RolloutJournal, **learner: Any) -> None:
        self.learner: Any = SimpleNamespace(
            **{
                "run_id": "run",
                "policy_version": 3,
                "check": lambda transition: None,
                "consumed": NOTHING_CONSUMED.after(3, [("robot_0", 1)]),
                "counters": Counters("run", next_sequence_number=2, next_episode=1),
                "checkpoint": SimpleNamespace(root=pathlib.Path("step_3")),
                "num_chunks": 1,
                "num_steps": 2,
                "finished": False,
                **learner,
            }
        )
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.aside: list[tuple[str, int, str]] = []
        checks = IntakeChecks(
            NumberWindow(largest_jump=1000, next_sequence_number=2, next_episode=1),
            self.learner.check,
        )
        self.run = TrainingRun(self.learner, 2, journal, self.set_aside, self.calls.put, checks)

    def set_aside(self, key: tuple[str, int], raw: bytes, reason: str, then: Callable[[OSError | None], None]) -> None:
        self.aside.append((*key, reason))
        then(None)

    def send(self, message: msg.Transition) -> Acknowledgment:
        """Sends a transition and returns its answer."""
        answers: list[Acknowledgment] = []
        self.run.intake.take(self.run.buffer, serialize_message(message), message, answers.append)
        while not answers:
            self.calls.get(timeout=PATIENCE)()
        (answer,) = answers
        return answer


# The tests below check which transitions trainer_node accepts.


def test_an_acknowledgment_says_how_full_the_rollout_is(node: FakeNode, journal: RolloutJournal) -> None:
    acknowledger = Acknowledger(node, num_required=2)  # type: ignore[arg-type]
    rollouts = Rollouts(journal)
    buffer = rollouts.run.buffer
    rollouts.send(sent(7))
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
    node: FakeNode, journal: RolloutJournal
) -> None:
    acknowledger, buffer = Acknowledger(node, num_required=2), make_buffer(journal)  # type: ignore[arg-type]
    for number in range(2):
        acknowledger.report(sent(number), Acknowledgment(ACK.RETRY, "the disk is full"), buffer)
        acknowledger.report(sent(number), Acknowledgment(ACK.REFUSED_INVALID, "no state"), buffer)
        acknowledger.report(sent(number, version=2), Acknowledgment(ACK.REFUSED_VERSION, f"late {number}"), buffer)
        acknowledger.report(sent(number), Acknowledgment(ACK.DUPLICATE), buffer)
    assert node.take_lines() == [
        ("error", "transitions cannot be accepted now: the disk is full"),
        ("error", "transition 0 is refused: no state"),
        ("warning", "transition 0 is refused and not trained on: late 0"),
    ]
    acknowledger.report(sent(2, version=1), Acknowledgment(ACK.REFUSED_VERSION, "later"), None)
    assert node.take_lines() == [("warning", "transition 2 is refused and not trained on: later")]
    acknowledger.report(sent(3), Acknowledgment(ACK.ACCEPTED), buffer)
    assert node.take_lines() == [
        ("info", "transitions are accepted again"),
        ("info", "transitions fit again"),
        ("info", "transitions are of the present version again"),
    ]


def test_a_transition_is_judged_by_run_version_episode_room_and_check(journal: RolloutJournal) -> None:
    def check(one: Transition) -> None:
        if one.outcome.reward > 5.0:
            raise ValueError("the reward must be small")

    rollouts = Rollouts(journal, check=check)
    buffer = rollouts.run.buffer
    answers = [
        rollouts.send(message)
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
    assert [id.sequence_number for id in rollouts.run.discard("robot_0", 4)] == [2]
    assert rollouts.send(sent(3, episode=4)) == Acknowledgment(ACK.DISCARDED, "episode 4 is discarded")
    assert rollouts.send(sent(2, episode=4)) == Acknowledgment(ACK.DISCARDED, "episode 4 is discarded")
    for number in (6, 5):
        assert rollouts.send(sent(number)).status == ACK.ACCEPTED
    assert buffer.is_complete
    assert [one.id.sequence_number for one in buffer.transitions] == [5, 6]
    assert rollouts.send(sent(8)).reason == "the rollout of version 3 is complete"
    assert buffer.num_refused == 4
    assert [reason for _, _, reason in rollouts.aside] == [
        "run_id must be 'run', got 'other'",
        "policy_version must be 3, got 2",
        "the reward must be small",
        "the rollout of version 3 is complete",
    ]


def test_the_same_numbers_of_two_robots_are_two_transitions(journal: RolloutJournal) -> None:
    rollouts = Rollouts(journal)
    assert rollouts.send(sent(1)).status == ACK.DUPLICATE
    assert rollouts.send(sent(1, sender="robot_1")).status == ACK.ACCEPTED
    assert rollouts.send(sent(2, sender="robot_1")).status == ACK.ACCEPTED
    assert [one.id.key for one in rollouts.run.buffer.transitions] == [("robot_1", 1), ("robot_1", 2)]
    assert rollouts.run.discard("robot_0", 0) == []
    assert len(rollouts.run.discard("robot_1", 0)) == 2


def test_a_number_that_another_chunk_has_is_no_duplicate(journal: RolloutJournal) -> None:
    rollouts = Rollouts(journal)
    assert rollouts.send(sent(5, stamp=10)).status == ACK.ACCEPTED
    assert rollouts.send(sent(5, stamp=10)).status == ACK.DUPLICATE
    answer = rollouts.send(sent(5, stamp=11))
    assert answer.status == ACK.REFUSED_INVALID
    assert answer.reason == "sequence_number must be new, got 5, which another chunk of robot_0 has"
    assert rollouts.aside == [("robot_0", 5, answer.reason)]


def test_a_transition_is_answered_once_and_only_when_it_is_on_disk(journal: RolloutJournal) -> None:
    rollouts, answers = Rollouts(journal), []
    for _ in range(2):
        message = sent(5)
        rollouts.run.intake.take(rollouts.run.buffer, serialize_message(message), message, answers.append)
    assert (answers, rollouts.run.buffer.num_accepted) == ([], 0)
    rollouts.calls.get(timeout=PATIENCE)()
    assert answers == [Acknowledgment(ACK.ACCEPTED)]
    assert rollouts.calls.empty()


def test_an_episode_that_is_discarded_while_its_transition_is_written_does_not_count(journal: RolloutJournal) -> None:
    rollouts, answers = Rollouts(journal), []
    message = sent(5, episode=4)
    rollouts.run.intake.take(rollouts.run.buffer, serialize_message(message), message, answers.append)
    assert rollouts.run.discard("robot_0", 4) == []
    rollouts.calls.get(timeout=PATIENCE)()
    assert answers == [Acknowledgment(ACK.DISCARDED, "episode 4 is discarded")]
    assert rollouts.run.buffer.num_accepted == 0


def test_a_full_disk_leaves_the_place_free_and_asks_for_a_repetition(
    journal: RolloutJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int, parts: object) -> int:
        raise OSError(28, "No space left on device")

    rollouts = Rollouts(journal)
    with monkeypatch.context() as full:
        full.setattr("os.writev", fail)
        for number in (5, 6, 7):
            answer = rollouts.send(sent(number))
            assert answer.status == ACK.RETRY and "No space left on device" in answer.reason
            assert rollouts.run.intake.waits_for_disk  # The status of trainer_node says so.
    assert rollouts.send(sent(5)).status == ACK.ACCEPTED
    assert not rollouts.run.intake.waits_for_disk


def store(journal: RolloutJournal, *messages: msg.Transition) -> None:
    for message in messages:
        store_raw(journal, message.chunk.sequence_number, serialize_message(message))


def store_raw(journal: RolloutJournal, number: int, raw: bytes) -> None:
    stored: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
    journal.add(("robot_0", number), raw, stored.put)
    assert stored.get(timeout=PATIENCE) is None


def test_a_rollout_begins_with_what_is_stored_and_not_trained_on(node: FakeNode, journal: RolloutJournal) -> None:
    store(journal, sent(1), sent(5), sent(4, run_id="other"), sent(2, version=2), sent(9, version=4))
    store_raw(journal, 8, b"no message")
    rollouts = Rollouts(journal)
    rollouts.run.begin_rollout(node)  # type: ignore[arg-type]
    assert [one.id.sequence_number for one in rollouts.run.buffer.transitions] == [5]
    lines = node.take_lines()
    assert lines[0] == ("error", "a stored transition is not trained on, robot_0 2: policy_version must be 3, got 2")
    assert lines[1] == (
        "error",
        "a stored transition is not trained on, robot_0 4: run_id must be 'run', got 'other'",
    )
    assert lines[2][1].startswith("a stored transition is not trained on, robot_0 8: it cannot be read: ")
    assert lines[3:] == [("info", "1 transition is restored from the journal")]
    assert [number for _, number, _ in rollouts.aside] == [2, 4, 8]
    assert [number for _, number in journal.waiting()] == [5, 9]
    assert rollouts.run.announcement(stamp=0).next_sequence_number == 10


def test_what_cannot_be_set_aside_is_left_out_until_the_next_start(node: FakeNode, journal: RolloutJournal) -> None:
    store_raw(journal, 8, b"no message")
    rollouts = Rollouts(journal)
    rollouts.run.set_aside = lambda key, raw, reason, then: then(OSError(28, "No space left on device"))
    for _ in range(2):
        rollouts.run.begin_rollout(node)  # type: ignore[arg-type]
    assert len(node.take_lines()) == 1 and journal.waiting() == ()


def test_a_broken_place_of_the_disk_does_not_stop_a_resume(
    node: FakeNode, journal: RolloutJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(journal, sent(2), sent(3))
    read = journal.read

    def broken(key: tuple[str, int]) -> bytes | None:
        if key == ("robot_0", 2):
            raise OSError(errno.EIO, "Input/output error")
        return read(key)

    monkeypatch.setattr(journal, "read", broken)
    rollouts = Rollouts(journal)
    rollouts.run.begin_rollout(node)  # type: ignore[arg-type]
    assert [one.id.sequence_number for one in rollouts.run.buffer.transitions] == [3]
    (level, text), _ = node.take_lines()
    assert level == "error" and "robot_0 2: it cannot be read: [Errno 5] Input/output error" in text
    assert rollouts.aside == [] and journal.waiting() == (("robot_0", 3),)


def test_a_run_that_went_back_takes_each_transition_when_it_has_reached_its_version(
    node: FakeNode, journal: RolloutJournal
) -> None:
    store(journal, sent(2), sent(3), sent(4, version=4, episode=6), sent(5, version=4, episode=6))
    rollouts = Rollouts(journal)
    rollouts.run.begin_rollout(node)  # type: ignore[arg-type]
    assert [one.id.sequence_number for one in rollouts.run.buffer.transitions] == [2, 3]
    announcement = rollouts.run.announcement(stamp=0)
    assert (announcement.next_sequence_number, announcement.next_episode) == (6, 7)
    rollouts.learner.policy_version = 4
    rollouts.learner.consumed = rollouts.learner.consumed.after(4, [("robot_0", 2), ("robot_0", 3)])
    rollouts.run.begin_rollout(node)  # type: ignore[arg-type]
    assert [one.id.sequence_number for one in rollouts.run.buffer.transitions] == [4, 5]
    assert rollouts.aside == []


def test_a_run_that_went_far_back_goes_on_after_its_highest_numbers(journal: RolloutJournal) -> None:
    store(journal, *(sent(number, version=4, episode=3 * number) for number in range(2, 1500)))
    announcement = Rollouts(journal).run.announcement(stamp=0)
    assert (announcement.next_sequence_number, announcement.next_episode) == (1500, 4498)


def test_a_run_that_went_back_beyond_what_is_stored_goes_on_after_its_highest_numbers(tmp_path: pathlib.Path) -> None:
    journal = RolloutJournal(tmp_path / "pruned", segment_bytes=1)
    journal.open()
    journal.begin_run("run", NOTHING_CONSUMED)
    store(journal, sent(2), sent(5000, version=4, episode=5000), sent(5001, version=4, episode=5001))
    journal.mark_consumed(NOTHING_CONSUMED.after(1, [("robot_0", 2)]).after(2, []))
    assert len(journal.remove_oldest(max_bytes=0)) == 1
    announcement = Rollouts(journal).run.announcement(stamp=0)
    assert (announcement.next_sequence_number, announcement.next_episode) == (5002, 5002)
    journal.close()


def test_a_rollout_takes_no_more_than_it_needs_and_the_rest_waits(node: FakeNode, journal: RolloutJournal) -> None:
    store(journal, *(sent(number) for number in (2, 3, 4)))
    rollouts = Rollouts(journal)
    rollouts.run.begin_rollout(node)  # type: ignore[arg-type]
    assert [one.id.sequence_number for one in rollouts.run.buffer.transitions] == [2, 3]
    assert [number for _, number in journal.waiting()] == [2, 3, 4]
    rollouts.run.discard("robot_0", 0)
    assert rollouts.run.buffer.num_accepted == 0


def test_a_run_that_began_with_weights_that_nobody_asked_for_says_so_at_its_end(
    node: FakeNode, journal: RolloutJournal
) -> None:
    fallback = Provenance("scratch", "checkpoints/cup", is_fallback=True, reason="it is damaged")
    for origin, code in ((Provenance("scratch"), 0), (fallback, FRESH_UNASKED)):
        assert Rollouts(journal, provenance=origin).run.exit_code(node) == code  # type: ignore[arg-type]
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
    for _ in range(2):  # reward_node died right after it had published the end, and publishes it again
        log.write_episode(ended(1, EVENT.SUCCESS, total_reward=1.5, num_chunks=3), counters)
    log.write_episode(ended(2, EVENT.SUCCESS, intervened=True), counters)
    log.write_episode(ended(3, EVENT.TIME_LIMIT), counters)
    for outcome in (EVENT.NONE, EVENT.DISCARDED):
        log.write_episode(ended(4, outcome), counters)
    assert [kind for kind, _ in file.rows] == 3 * ["episode"]
    assert [row["episode/episode"] for _, row in file.rows] == [1.0, 2.0, 3.0]
    assert [row["episode/success"] for _, row in file.rows] == [1.0, 0.0, 0.0]
    assert [row["episode/intervened"] for _, row in file.rows] == [0.0, 1.0, 0.0]
    messages = node.published("episode_metrics")
    assert [message.sender for message in messages] == 4 * ["robot_7"]
    assert [message.episode_reward for message in messages] == [0.0, 1.5, 0.0, 0.0]
    assert node.published("training_metrics") == []  # no nan of an episode stands between the numbers of two updates
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
    for message in (*node.published("training_metrics"), *node.published("episode_metrics")):
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
    (message,) = node.published("episode_metrics")
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


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Makes standard error show bars. The returned function gives what was written there since its last call."""
    monkeypatch.setenv(SHOWS_PROGRESS, "1")
    return lambda: capsys.readouterr().err


def test_the_bar_of_a_rollout_counts_chunks_and_makes_room_for_the_next(terminal: Callable[[], str]) -> None:
    bar = progress_bars.RolloutBar()
    bar.update()
    bar.close()
    assert terminal() == ""
    bar.open(version=4, num_accepted=2, num_required=8)
    assert re.search(r"\rversion 4 rollout: +25%.*2/8", terminal())
    bar.open(version=5, num_accepted=0, num_required=8)
    assert re.search(r"\r +\r.*\rversion 5 rollout: +0%.*0/8", terminal(), re.DOTALL)
    bar.close()
    terminal()
    bar.update()
    assert terminal() == ""


def test_the_bar_of_an_update_shows_how_many_minibatches_are_done(terminal: Callable[[], str]) -> None:
    with progress_bars.update_bar(4) as on_minibatch:
        on_minibatch(1, 8)
        time.sleep(0.2)  # longer than tqdm waits before it draws again
        on_minibatch(5, 8)
    assert re.search(r"\rversion 4 update: +62%.*5/8", terminal())
