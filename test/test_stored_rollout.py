"""Tests that a policy whose process is killed goes on where it was, in all stories of a rollout."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chunk_ppo_ros.agent.next_step.rollout_fill import InFlight
from chunk_ppo_ros.agent.next_step.rollout_progress import RolloutProgress
from chunk_ppo_ros.agent.next_step.rollout_state import RolloutState
from chunk_ppo_ros.agent.next_step.rollout_steps import Bootstrap, EncodeSegment, Hold, SampleChunk, Step
from chunk_ppo_ros.agent.next_step.stored_rollout import HOLE_GAP, StoredRollout, decode_progress, encode_progress
from chunk_ppo_ros.core.errors import UserError
from support.rollout_stories import (
    BOOTSTRAPS,
    FULL,
    HOLDS,
    RUNNING,
    SAMPLES,
    TAKEN_OVER,
    TWO_OF_THREE,
    Event,
    ack,
    active,
    announced,
    began,
    bootstrapped,
    chunk,
    drove,
    encoded,
    ended,
    human,
    loaded,
    outcome,
    reset,
    sampled,
    settled,
    started,
)

STORIES = {name: events for table in (HOLDS, SAMPLES, BOOTSTRAPS) for name, (events, _) in table.items()}


class Watched(RolloutState):
    """A state that keeps which chunks are not settled, as the store of policy_node does, and the newest announcement.

    `on_disk` is the progress that was stored with the newest chunk or bootstrap.
    """

    def __init__(self, stored: StoredRollout | None = None) -> None:
        super().__init__(stored)
        self.unsettled: dict[int, InFlight] = {}
        self.outcomes: dict[int, dict[str, object]] = {}
        self.on_disk = RolloutProgress()

    def announce(self, announcement):
        if self.progress.run_id not in ("", announcement.run_id):
            self.unsettled.clear()
        super().announce(announcement)

    def chunk_sent(self, step, *, stamp=0, max_steps=0):
        id = step.chunk
        self.unsettled[id.sequence_number] = InFlight(id.sequence_number, id.episode, step.policy_version)
        self.on_disk = self.progress.after_chunk(step, stamp=stamp, max_steps=max_steps)
        super().chunk_sent(step, stamp=stamp, max_steps=max_steps)

    def bootstrap_sent(self, step):
        self.on_disk = self.progress.without_last()
        super().bootstrap_sent(step)

    def chunk_ended(self, sequence_number, **fields):
        self.outcomes[sequence_number] = fields
        if not fields["valid"]:
            self.unsettled.pop(sequence_number, None)
        super().chunk_ended(sequence_number, **fields)

    def acknowledged(self, sequence_number, *, retry, **fields):
        if not retry:
            self.unsettled.pop(sequence_number, None)
        super().acknowledged(sequence_number, retry=retry, **fields)

    def settled(self, sequence_number):
        self.unsettled.pop(sequence_number, None)
        super().settled(sequence_number)

    def episode_ended(self, episode, **how):
        if how.get("discarded"):
            self.unsettled = {number: one for number, one in self.unsettled.items() if one.episode != episode}
        super().episode_ended(episode, **how)

    def stored(self, progress: RolloutProgress) -> StoredRollout:
        """Returns what a process finds that starts now."""
        read = decode_progress(encode_progress(progress))
        return StoredRollout.restore(read, self.unsettled.values(), is_damaged=False)


def play(events: Sequence[Event], state: RolloutState | None = None) -> Watched:
    state = Watched() if state is None else state
    for event in events:
        event(state)
    return state  # type: ignore[return-value]


def restarted(old: Watched, progress: RolloutProgress, *latched: Event) -> RolloutState:
    """Returns the state of a new process that has heard the latched topics, and the outcomes of what it repeats."""
    state = RolloutState(old.stored(progress))
    play(latched, state)
    last = state.progress.last
    if last is not None and last.id.sequence_number in old.outcomes:
        state.chunk_ended(last.id.sequence_number, **old.outcomes[last.id.sequence_number])  # type: ignore[arg-type]
    return state


def comparable(step: Step) -> object:
    return step.reason if isinstance(step, Hold) else step


@pytest.mark.parametrize("newest", [True, False], ids=["stored later", "stored with the chunk"])
@pytest.mark.parametrize(
    "story", [TWO_OF_THREE, (*FULL, bootstrapped(2)), TAKEN_OVER], ids=["two", "full", "taken over"]
)
def test_a_policy_that_is_killed_at_any_instant_of_an_episode_goes_on(story: tuple[Event, ...], newest: bool) -> None:
    for end in range(len(RUNNING), len(story) + 1):
        old = play(story[:end])
        drives = old.is_human_driven
        latched = (active, announced(), loaded(), started(0), human(drives, stamp=50 * drives))
        new = restarted(old, old.progress if newest else old.on_disk, *latched)
        assert comparable(new.next_step()) == comparable(old.next_step()), end
        assert new.num_steps == old.num_steps


@pytest.mark.parametrize("events", STORIES.values(), ids=STORIES)
def test_no_rollout_is_overfull_after_a_restart_in_any_story(events: tuple[Event, ...]) -> None:
    """The trainer has accepted what is settled, and wants three. What is in flight is sampled already."""
    old = play(events)
    version = old.weights.newest.version if old.weights.newest else 0
    in_flight = sum(one.policy_version == version for one in old.unsettled.values())
    for num_accepted in range(4):
        again = (announced(num_accepted=num_accepted, version=version), loaded(version), active, human(False, stamp=99))
        state = play((*again, reset(9), started(9)), RolloutState(old.stored(old.progress)))
        num_sampled = 0
        while isinstance(step := state.next_step(), SampleChunk):
            state.chunk_sent(step)
            state.chunk_ended(step.chunk.sequence_number, end=0, num_steps=5, valid=True, **NO_END)
            num_sampled += 1
        assert num_sampled == max(0, 3 - num_accepted - in_flight)


NO_END = {"terminated": False, "truncated": False, "cut_by_takeover": False}
AGAIN = (active, announced(), loaded(), started(0))


def after_restart(before: Sequence[Event], *events: Event) -> Step:
    old = play(before)
    return play(events, RolloutState(old.stored(old.on_disk))).next_step()


def test_the_chunk_that_ran_is_awaited_and_its_steps_count_once() -> None:
    old = play((*TWO_OF_THREE, sampled(2)))
    state = play(AGAIN, RolloutState(old.stored(old.on_disk)))
    assert state.awaited_chunk == chunk(2) and state.num_steps == 10
    for _ in range(2):
        outcome(2)(state)
        assert state.num_steps == 15


def test_acknowledgments_before_the_announcement_count() -> None:
    assert after_restart((*FULL, bootstrapped(2)), ack(1, 0), *AGAIN) == SampleChunk(chunk(3), 0, 0, "task 0")


def test_a_chunk_that_was_settled_while_the_policy_was_dead_is_not_awaited() -> None:
    step = after_restart((*TWO_OF_THREE, sampled(2)), *AGAIN, settled(2))
    assert step == SampleChunk(chunk(3), 0, 0, "task 0")


def test_chunks_of_another_version_are_not_in_flight_any_more() -> None:
    step = after_restart((*FULL, bootstrapped(2)), active, announced(version=1), loaded(1), started(0))
    assert step == SampleChunk(chunk(3), 1, 0, "task 0")


def test_another_run_begins_anew() -> None:
    step = after_restart(FULL, active, announced(run_id="other"), loaded(), reset(0), started(0))
    assert isinstance(step, SampleChunk)
    assert (step.chunk.run_id, step.chunk.sequence_number, step.chunk.chunk) == ("other", 0, 0)


def test_the_next_episode_began_meanwhile() -> None:
    step = after_restart((*RUNNING, sampled(0)), active, announced(), loaded(), started(1))
    assert step == SampleChunk(chunk(1, 1, 0), 0, 0, "task 1")


def test_a_time_limit_meanwhile_gets_its_bootstrap() -> None:
    step = after_restart((*RUNNING, sampled(0), outcome(0)), *AGAIN, outcome(0), ended(0, truncated=True))
    assert isinstance(step, Bootstrap) and step.chunk == chunk(0)


def test_an_episode_whose_time_limit_was_reached_before_does_not_run_again() -> None:
    before = (*RUNNING, sampled(0), outcome(0, "truncated"), bootstrapped(0))
    step = after_restart(before, active, announced(), loaded(), started(0))
    assert isinstance(step, Hold) and "waiting for an episode" in step.reason


def test_a_human_who_took_over_meanwhile_is_seen() -> None:
    before = (*RUNNING, sampled(0), outcome(0))
    step = after_restart(before, *AGAIN, human(True, stamp=70), outcome(0))
    assert isinstance(step, Bootstrap) and step.newer_than == 70


def test_a_human_who_drove_and_handed_back_meanwhile_is_seen_by_the_segment() -> None:
    """The numbering leaves out the numbers at the takeover and at the hand-back."""
    before = (*RUNNING, sampled(0, stamp=30), outcome(0))
    step = after_restart(before, *AGAIN, human(False, stamp=90, segment=60), outcome(0), bootstrapped(0))
    assert step == SampleChunk(chunk(1, 0, 3), 0, 90, "task 0")
    step = after_restart(before, *AGAIN, human(False, stamp=90, segment=20), outcome(0))
    assert step == SampleChunk(chunk(1), 0, 0, "task 0")


def test_a_human_who_goes_on_driving_is_no_change() -> None:
    before = (*TAKEN_OVER, began(60), drove(60), encoded(1, 60, 2))
    assert comparable(after_restart(before, *AGAIN, human(True, stamp=65), outcome(1))) == "a human drives"


def test_a_segment_that_is_a_chunk_already_is_not_encoded_again() -> None:
    before = (*TAKEN_OVER, began(60), drove(60), encoded(1, 60, 2))
    again = (human(True, stamp=65), outcome(1), began(60), drove(60))
    assert comparable(after_restart(before, *AGAIN, *again)) == "a human drives"
    step = after_restart(before, *AGAIN, *again, began(80), drove(80))
    assert isinstance(step, EncodeSegment) and step.segment.stamp == 80


def test_damaged_records_leave_numbers_out_and_the_newest_chunk_gets_its_value() -> None:
    old = play(TWO_OF_THREE)
    stored = StoredRollout.restore(old.progress, old.unsettled.values(), is_damaged=True)
    state = play(AGAIN, RolloutState(stored))
    assert isinstance(state.next_step(), Bootstrap)
    bootstrapped(1)(state)
    assert state.next_step() == SampleChunk(chunk(2 + HOLE_GAP), 0, 0, "task 0")


def test_a_chunk_that_was_stored_without_its_progress_keeps_its_number() -> None:
    stored = StoredRollout.restore(RolloutProgress("run"), [InFlight(7, 0, 0)], is_damaged=False)
    assert stored.progress.next_sequence_number == 8


def test_a_progress_of_another_version_of_the_package_is_named() -> None:
    with pytest.raises(UserError, match="must have the fields of this version, got .*move the folder store/policy"):
        decode_progress(b'{"run_id": "run"}')
    with pytest.raises(UserError, match="must have the fields"):
        decode_progress(b"[]")
