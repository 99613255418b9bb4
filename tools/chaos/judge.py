"""Judges by evidence alone what became of each chunk that was sent to the robot. It calls no code of the nodes."""

from __future__ import annotations

import bisect
import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from chaos.campaign import Death
from chaos.heard import NEVER, Heard
from chaos.settings import SUPERVISOR

SIGNS_OF_LIFE = {"robot_node": "robot_node/active", "sim_node": "/clock"}
"""The parts of the robot, and the topic on which each is heard soon after it was started."""
INTERRUPTED = 6
"""The status of a result by which robot_node says that it died while the chunk ran."""
RUNNING = "running when the robot died"
"""The fate of a chunk that the death of the robot or of the simulator cut."""


@dataclasses.dataclass(frozen=True)
class StoredTransition:
    """What the trainer's store says of a transition.

    Attributes:
        stamp: the stamp of its chunk, ns of ROS time.
        steps: the executed control steps.
        next_value: the value after it, in units of reward.
        terminated: whether nothing follows it.
    """

    stamp: int
    steps: int
    next_value: float
    terminated: bool


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What is known of a run from its outside.

    Attributes:
        heard: what the listener heard, in the order in which it heard it.
        told: the messages in the stores of robot_node and policy_node, whose times are `NEVER`.
        trained: the sequence numbers that each update consumed, in its order, by the version that it made.
        waiting: the sequence numbers in the trainer's journal.
        set_aside: why transitions were set aside, by the stamps of their chunks.
        stored: the different transitions that the trainer stored, by sequence number.
        in_stores: the sequence numbers that wait in the stores of other nodes.
        deaths: what was killed, the stop at the end included.
        quiet_since: the wall clock from which on nothing was killed, s.
        contradictions: a line for each thing in the evidence that contradicts another.
    """

    heard: Sequence[Heard]
    told: Sequence[Heard]
    trained: Mapping[int, Sequence[int]]
    waiting: frozenset[int]
    set_aside: Mapping[int, str]
    stored: Mapping[int, frozenset[StoredTransition]]
    in_stores: frozenset[int]
    deaths: Sequence[Death]
    quiet_since: float
    contradictions: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of the chunks.

    Attributes:
        counts: the number of chunks of each fate.
        lost: a line for each chunk that is lost.
        set_aside: a line for each chunk that was set aside.
        trained_twice: a line for each chunk that was trained on more than once.
        contradictions: a line for each thing that the evidence contradicts in another way.
    """

    counts: Mapping[str, int]
    lost: tuple[str, ...]
    set_aside: tuple[str, ...]
    trained_twice: tuple[str, ...]
    contradictions: tuple[str, ...]


class Judge:
    """Decides what became of each chunk.

    A chunk is known by its stamp, because a sequence number may have been given twice by mistake.

    Args:
        evidence: the evidence.
    """

    def __init__(self, evidence: Evidence) -> None:
        """Orders the evidence by stamp. The class documents arguments."""
        self._evidence = evidence
        self._number: dict[int, int] = {}
        self._sent_at: dict[int, float] = {}
        self._results: dict[int, Heard] = {}
        self._seen: set[int] = set()  # the stamps that the listener or the robot heard of
        self._outcomes: dict[int, Heard] = {}
        self._values: dict[int, set[float]] = collections.defaultdict(set)  # values that may follow a chunk
        for heard in (*evidence.heard, *evidence.told):
            self._take(heard)
            if heard.time != NEVER or heard.topic == "execution_result":
                self._seen.add(heard.stamp)
        self._sending_times = sorted(self._sent_at.values())
        self._trained = collections.Counter(number for numbers in evidence.trained.values() for number in numbers)
        self._dead = [span for death in evidence.deaths for span in self._dead_spans(death)]

    def _take(self, heard: Heard) -> None:
        if heard.topic in ("action_chunk", "chunk_outcome", "transition"):
            self._number.setdefault(heard.stamp, heard.number)
        if heard.topic == "action_chunk":
            if heard.time != NEVER:
                self._sent_at.setdefault(heard.stamp, heard.time)
            self._values[heard.number - 1].add(heard.value)
        if heard.topic == "bootstrap":
            self._values[heard.number].add(heard.value)
        if heard.topic == "execution_result":
            known = self._results.get(heard.stamp)
            self._results[heard.stamp] = heard if known is None or known.status == INTERRUPTED else known
        if heard.topic == "chunk_outcome":
            before = self._outcomes.get(heard.stamp)
            self._outcomes[heard.stamp] = heard if before is None or heard.valid else before

    def verdict(self) -> Verdict:
        """Returns what became of all chunks."""
        stamps = sorted(self._number.keys() | self._results.keys())
        fates = {stamp: self._fate(stamp) for stamp in stamps}
        counts = collections.Counter(fates.values())
        counts["executed"] = sum(result.steps > 0 for result in self._results.values())
        return Verdict(
            counts=counts,
            lost=tuple(self._line(stamp) for stamp in stamps if fates[stamp] == "lost"),
            set_aside=tuple(
                f"chunk {self._number.get(stamp)} was set aside: {self._evidence.set_aside[stamp]}"
                for stamp in stamps
                if fates[stamp] == "set aside"
            ),
            trained_twice=tuple(self._trained_twice()),
            contradictions=tuple(self._contradictions()),
        )

    def _fate(self, stamp: int) -> str:
        evidence, number = self._evidence, self._number.get(stamp)
        if number is not None and stamp in self._stored_stamps(number):
            if number in self._trained:
                return "trained"
            if number in evidence.waiting:
                return "waiting"
        if stamp in evidence.set_aside:
            return "set aside"
        result = self._results.get(stamp)
        if result is not None and result.steps == 0 and result.status != INTERRUPTED:
            return "not executed"
        if stamp not in self._seen:
            return "stored and never sent"
        if self._robot_died_while_running(stamp):
            return RUNNING
        if result is None and stamp in self._outcomes and not self._outcomes[stamp].valid:
            return "not executed"
        if number in evidence.in_stores and self._sent_at.get(stamp, 0.0) > evidence.quiet_since:
            return "under way at the end"
        return "lost"

    def _robot_died_while_running(self, stamp: int) -> bool:
        """Returns whether the robot was dead at a time between the sending of a chunk and that of the next chunk."""
        sent_at = self._sent_at.get(stamp)
        if sent_at is None:
            return False
        place = bisect.bisect_right(self._sending_times, sent_at)
        until = self._sending_times[place] if place < len(self._sending_times) else float("inf")
        return any(sent_at - _CLOCK_SLACK <= end and begin <= until for begin, end in self._dead)

    def _dead_spans(self, death: Death) -> Iterator[tuple[float, float]]:
        """Yields from when to when a part of the robot was dead. It ends at its first sign of life."""
        for target, topic in SIGNS_OF_LIFE.items():
            if {target, SUPERVISOR} & set(death.targets):
                signs = (heard.time for heard in self._evidence.heard if heard.topic == topic)
                yield death.time, min((time for time in signs if time > death.time + _LAST_WORDS), default=death.time)

    def _stored_stamps(self, number: int) -> set[int]:
        return {stored.stamp for stored in self._evidence.stored.get(number, ())}

    def _trained_twice(self) -> Iterator[str]:
        for number, times in sorted(self._trained.items()):
            if times > 1:
                versions = [version for version, numbers in self._evidence.trained.items() if number in numbers]
                yield f"chunk {number} was trained on {times} times, by the updates to versions {versions}"
        used: dict[int, int] = {}
        for number in sorted(self._trained):
            for stamp in self._stored_stamps(number):
                if stamp in used:
                    yield f"the chunk of stamp {stamp} was trained on as number {used[stamp]} and as {number}"
                used[stamp] = number

    def _contradictions(self) -> Iterator[str]:
        yield from self._evidence.contradictions
        known = set(self._number.values())
        for number in sorted(self._trained):
            if number not in known:
                yield f"chunk {number} was trained on, but nobody sent it"
            stored = self._evidence.stored.get(number, frozenset())
            if len(stored) != 1:
                yield f"chunk {number} was trained on, and the journal holds {len(stored)} different transitions of it"
            for transition in stored:
                yield from self._differences(number, transition)

    def _differences(self, number: int, stored: StoredTransition) -> Iterator[str]:
        """Yields what a transition says in another way than the robot and policy_node said it."""
        result = self._results.get(stored.stamp)
        if result is None or result.steps != stored.steps:
            executed = "no result" if result is None else f"{result.steps} steps"
            yield f"chunk {number} was trained on with {stored.steps} steps, and the robot told of {executed}"
        values = {0.0} if stored.terminated else self._values[number]
        if stored.next_value not in values:
            yield f"chunk {number} was trained on with next value {stored.next_value}, and {sorted(values)} were sent"

    def _line(self, stamp: int) -> str:
        outcome = self._outcomes.get(stamp)
        how = "no outcome" if outcome is None else f"outcome valid={outcome.valid} '{outcome.text}'"
        sent_at = self._sent_at.get(stamp)
        before = [
            death for death in self._evidence.deaths if sent_at is not None and death.time >= sent_at - _LOOK_BACK
        ]
        near = (
            f"{'+'.join(before[0].targets)} killed {before[0].time - (sent_at or 0.0):+.2f} s" if before else "no kill"
        )
        result = self._results.get(stamp)
        done = "no result" if result is None else f"status {result.status} after {result.steps} steps {result.text}"
        return f"chunk {self._number.get(stamp)} of stamp {stamp}: {done}, {how}, sent at {sent_at}, next: {near}"


_CLOCK_SLACK = 0.05
"""How much later than its sending the listener may have heard a chunk, s."""
_LAST_WORDS = 0.5
"""The time after its death within which messages of a node may still arrive, s. It is started anew after a second."""
_LOOK_BACK = 3.0
"""The time before a chunk within which a kill may have to do with its loss, s."""
