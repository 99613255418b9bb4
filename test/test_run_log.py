"""Tests what reward_node stores: nothing is published before it is on disk, and another process reads all of it."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.data.store import Entry, read_payload, read_store
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.reward.durable.chunk_ledger import MAX_KNOWN, ChunkLedger
from chunk_ppo_ros.nodes.reward.durable.history import History, read_history
from chunk_ppo_ros.nodes.reward.durable.run_log import OUTCOME, PROGRESS, TRANSITION, RunLog
from chunk_ppo_ros.nodes.wire import conversions
from chunk_ppo_ros.nodes.wire.arrays import header_of
from chunk_ppo_ros.rewards.bookkeeping.episode_progress import Closing, Mark, Progress
from chunk_ppo_ros.rewards.episodes import (
    DELIVERY,
    OPERATOR,
    RESTART,
    STORE,
    Ending,
    EpisodeChange,
    Episodes,
    EpisodeStanding,
    Event,
    Phase,
)
from support.fake_node import FakeNode
from support.fragile_store import FragileStore
from support.toy_policy import transition

RUN = "run"
STANDING = EpisodeStanding(3, Phase.RUNNING, "reach", 2, 8, 1.5, True)
ENDED = EpisodeChange(3, 7, Event.ENDED, Ending.SUCCESS, 1.5, 2, True, "reach", "why")
FULL = Progress(
    run_id=RUN,
    standing=STANDING,
    holds={"operator": "by the operator"},
    started=17,
    mark=Mark(Ending.FAILURE, "dropped"),
    closing=Closing(ChunkId(RUN, 4, 3, 1), 2, Ending.TIME_LIMIT, "late"),
    last=ChunkId(RUN, 4, 3, 1),
    num_faults=1,
    num_refusals=2,
    interrupted=(1, 2),
    stopped=(2,),
    is_stopped=True,
    discarded=(0, 3),
    running_when_robot_died=5,
    feedback={12: 0.5},
    peers={"execution_result robot_node": "0a0b"},
    changes=(ENDED,),
)


class Rig:
    """A log whose progress counts up as the test says, and what was published."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.node: Any = FakeNode()
        self.store = FragileStore(folder, name="reward")
        self.log = RunLog(self.node, Conditions(self.node), self.store)
        self.log.open()
        self.progress = Progress(RUN, STANDING)
        self.log.begin_run(RUN, ChunkLedger())
        self.log.find_progress = lambda: self.progress
        self.published: list[str] = []

    def publish(self, text: str) -> None:
        self.log.publish(lambda: self.published.append(text))

    def count(self) -> None:
        standing = dataclasses.replace(self.progress.standing, num_chunks=self.progress.standing.num_chunks + 1)
        self.progress = dataclasses.replace(self.progress, standing=standing)

    def decide(self, number: int, *, valid: bool = True) -> None:
        self.log.store_outcome(outcome(number, valid=valid))
        self.publish(f"outcome {number}")

    def history(self) -> History:
        return read_history(self.store.folder, RUN)


def outcome(number: int, *, valid: bool = True) -> msg.ChunkOutcome:
    header = header_of(1000 + number)
    return msg.ChunkOutcome(header=header, run_id=RUN, sequence_number=number, episode=3, valid=valid)


@pytest.fixture
def rig(tmp_path: pathlib.Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.log.close()


def transition_message(number: int) -> msg.Transition:
    one = transition(number)
    return conversions.transition_to_message(dataclasses.replace(one, id=dataclasses.replace(one.id, run_id=RUN)))


def numbers(history: History) -> list[int]:
    return [message.chunk.sequence_number for message in history.transitions]


@pytest.mark.parametrize("progress", [FULL, Progress(RUN, STANDING)])
def test_the_progress_is_read_back_as_it_was(progress: Progress) -> None:
    assert Progress.from_json(progress.to_json()) == progress


@pytest.mark.parametrize("text", [b"[]", b"{}", b"\xff", FULL.to_json().replace(b"RUNNING", b"FLYING")])
def test_a_progress_of_another_version_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="what this version of chunk_ppo_ros writes"):
        Progress.from_json(text)


def test_what_happens_together_is_one_write_and_is_published_after_it(rig: Rig) -> None:
    with rig.log.whole():
        rig.decide(0)
        rig.count()
        rig.log.store_transition(transition_message(0))
        rig.publish("transition 0")
        assert rig.published == [] and not read_store(rig.store.folder).records
    assert rig.published == ["outcome 0", "transition 0"]
    kinds = [place.key.kind for place in read_store(rig.store.folder).records]
    assert kinds == [OUTCOME, TRANSITION, PROGRESS]
    history = rig.history()
    assert history.progress is not None and history.progress.standing.num_chunks == 3
    assert numbers(history) == [0] and history.waiting == []


def test_nothing_is_written_where_nothing_has_changed(rig: Rig) -> None:
    rig.publish("a")
    with rig.log.whole():
        pass
    rig.log.tick(0.0)
    assert [place.key.kind for place in read_store(rig.store.folder).records] == [PROGRESS]
    rig.count()
    rig.log.tick(1.0)
    with rig.log.whole():
        pass
    assert len(read_store(rig.store.folder).records) == 2


def test_an_outcome_without_the_progress_after_it_is_decided_again(rig: Rig) -> None:
    rig.decide(0)
    rig.store.append([Entry(OUTCOME, "robot_0", 1, read_payload(read_store(rig.store.folder).records[0]))])
    rig.store.append([Entry(TRANSITION, "robot_0", 1, b"torn")])
    history = rig.history()
    assert [known.sequence_number for known in history.waiting] == [0]
    assert history.ledger.find(1) is None and numbers(history) == []


def test_acknowledged_and_withdrawn_transitions_are_not_sent_again(rig: Rig) -> None:
    for number in range(4):
        rig.decide(number)
        rig.log.store_transition(transition_message(number))
    rig.log.settle(msg.TransitionAck(run_id=RUN, sequence_number=1, status=msg.TransitionAck.ACCEPTED))
    rig.decide(2, valid=False)
    history = rig.history()
    assert numbers(history) == [0, 3]
    known = history.ledger.find(1)
    assert known is not None and known.acknowledgment is not None
    assert known.acknowledgment.status == msg.TransitionAck.ACCEPTED
    by_stamp = history.ledger.find_by_stamp(1002)
    assert by_stamp is not None and not by_stamp.outcome.valid


def test_changes_that_were_about_to_be_published_are_in_the_progress(rig: Rig) -> None:
    rig.log.publish_changes([ENDED], lambda: rig.published.append("ended"))
    history = rig.history()
    assert history.progress is not None and history.progress.changes == (ENDED,)
    with rig.log.whole():
        rig.count()
    after = rig.history().progress
    assert after is not None and after.changes == ()


def test_a_full_disk_holds_back_what_was_decided_in_its_order(rig: Rig) -> None:
    rig.publish("before")
    rig.store.is_full = True
    rig.decide(0)
    rig.count()
    rig.decide(1)
    rig.publish("after")
    assert rig.published == ["before"] and rig.log.is_blocked
    ((level, text),) = rig.node.take_lines()
    assert level == "error" and "cannot be stored" in text and "No space left on device" in text
    rig.log.tick(10.0)
    assert rig.log.is_blocked and rig.node.take_lines() == []
    rig.store.is_full = False
    rig.log.tick(10.5)
    assert rig.log.is_blocked  # the disk is tried once a second
    rig.log.tick(11.0)
    assert not rig.log.is_blocked and rig.published == ["before", "outcome 0", "outcome 1", "after"]
    assert [known.sequence_number for known in rig.history().waiting] == [0, 1]
    assert [text for _, text in rig.node.take_lines()] == ["what reward_node decides is stored again"]


def test_another_run_begins_with_nothing(rig: Rig) -> None:
    rig.decide(0)
    rig.progress = Progress("next run", STANDING)
    rig.log.begin_run("next run", ChunkLedger())
    rig.decide(5)
    assert [known.sequence_number for known in rig.history().waiting] == [0]
    later = read_history(rig.store.folder, "next run")
    assert [known.sequence_number for known in later.waiting] == [5]
    assert read_history(rig.store.folder, "no run").progress is None


def test_what_cannot_be_read_is_named_and_the_rest_is_used(rig: Rig) -> None:
    for number in range(3):
        rig.decide(number)
    place = next(place for place in read_store(rig.store.folder).records if place.key.number == 1)
    data = bytearray(place.segment.read_bytes())
    data[place.payload_offset] ^= 1
    place.segment.write_bytes(data)
    history = rig.history()
    assert [known.sequence_number for known in history.waiting] == [0, 2]
    (damage,) = history.damages
    assert "damaged" in damage


def test_a_progress_that_cannot_be_understood_says_which_file(rig: Rig) -> None:
    rig.store.append([Entry(PROGRESS, "robot_0", 0, b"{}")])
    with pytest.raises(UserError, match=r"\.log: the stored progress of a run must be"):
        rig.history()


def test_segments_that_nobody_needs_are_removed(tmp_path: pathlib.Path) -> None:
    rig = Rig(tmp_path)
    rig.log.close()
    rig.store = FragileStore(tmp_path, name="reward", segment_bytes=1000)
    rig.log = RunLog(rig.node, Conditions(rig.node), rig.store)
    rig.log.open()
    rig.log.begin_run(RUN, ChunkLedger())
    rig.log.find_progress = lambda: rig.progress
    rig.decide(0)  # Its transition never comes.
    for number in range(1, MAX_KNOWN + 50):
        rig.decide(number, valid=number != 7)
        rig.log.settle(msg.TransitionAck(run_id=RUN, sequence_number=number))
    rig.log.tick(100.0)

    def outcomes() -> list[int]:
        return [place.key.number for place in read_store(tmp_path).records if place.key.kind == OUTCOME]

    assert outcomes()[0] == 0
    rig.log.settle(msg.TransitionAck(run_id=RUN, sequence_number=0))
    rig.log.tick(200.0)
    assert 0 < outcomes()[0] <= 50 and outcomes()[-1] == MAX_KNOWN + 49
    rig.log.close()


def test_an_episode_goes_on_where_it_was_and_its_pause_can_be_told_again() -> None:
    episodes = Episodes(next_episode=0, seed=lambda episode: episode, prompt=lambda episode: "another")
    episodes.hold("operator", "by the operator")
    (paused,) = episodes.go_on(STANDING, "again")
    assert (paused.event, paused.episode, paused.num_chunks, paused.total_reward) == (Event.PAUSED, 3, 2, 1.5)
    assert (paused.prompt, paused.seed, paused.intervened) == ("reach", 3, True)
    assert paused.message == "by the operator"
    assert episodes.standing == STANDING
    assert [change.event for change in episodes.paused_again()] == [Event.PAUSED]
    with pytest.raises(ValueError, match="only where none has begun"):
        episodes.go_on(STANDING, "again")
    episodes.release("operator", "go on")
    assert episodes.paused_again() == []
    (started,) = Episodes(next_episode=0, seed=lambda episode: episode).go_on(STANDING, "again")
    assert (started.event, started.message) == (Event.STARTED, "again")


@pytest.mark.parametrize(("reason", "needs"), [(OPERATOR, True), (RESTART, True), (DELIVERY, False), (STORE, False)])
def test_some_pauses_end_by_themselves(reason: str, needs: bool) -> None:
    episodes = Episodes(next_episode=0, seed=lambda episode: episode)
    episodes.hold(reason, "why")
    assert episodes.needs_operator == needs
