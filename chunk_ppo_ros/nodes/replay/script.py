"""Makes the script of a replay from the events of a recording: what is told when, and what is waited for before.

The order in which a recorder received messages is not always that in which reward_node handled them. What reward_node
and trainer_node said tells more: a chunk had its reports before its outcome, and a transition its next value before it
was acknowledged. So a report is told when its outcome is due, and each thing that was said is waited for. The script
has no clock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from chunk_ppo_ros.nodes.replay.events import Called, Change, Chunk, Delivered, Event, Outcome, Told, Version

RESET, STARTED, ENDED = 0, 1, 2
"""The events of EpisodeEvent.msg that an episode has once, in their order."""


@dataclasses.dataclass(frozen=True)
class Tell:
    """Publish a recorded message."""

    told: Told


@dataclasses.dataclass(frozen=True)
class Start:
    """Start an episode, whose reset is over."""

    time: int
    episode: int


@dataclasses.dataclass(frozen=True)
class Call:
    """Call a service of reward_node as an operator did."""

    called: Called


@dataclasses.dataclass(frozen=True)
class Await:
    """Wait until the nodes have said what they said in the recorded run."""

    said: Outcome | Change | Delivered | Version


Step: TypeAlias = Tell | Start | Call | Await


def time_of(step: Step) -> int:
    """Returns the time in the recording that a step belongs to, ns."""
    match step:
        case Tell(told):
            return told.time
        case Call(called):
            return called.time
        case Await(said):
            return said.time
        case Start(time):
            return time


def make_script(events: Iterable[Event]) -> list[Step]:
    """Returns the steps of a replay.

    Args:
        events: the events of one run, in the order of their times.
    """
    return _Writer(_with_calls_first(list(events))).steps()


def _with_calls_first(events: list[Event]) -> list[Event]:
    """Returns the events with each call that ended an episode before what it changed.

    reward_node publishes what a call has changed, and after that the call with its answer.
    """
    for called in [event for event in events if isinstance(event, Called) and event.ended is not None]:
        place = events.index(called)
        effects = [at for at, event in enumerate(events[:place]) if _is_effect(event, called)]
        if effects:
            place = effects[0]
            events.insert(place, events.pop(events.index(called)))
        for answer in _answers_after(events[place:], called):
            events.remove(answer)
            events.insert(events.index(called), answer)
    return events


def _answers_after(events: list[Event], called: Called) -> list[Delivered]:
    """Returns which transitions the trainer had taken, although their answers were recorded after a call's discard.

    reward_node withdrew them, because it had not heard the answers.
    """
    withdrawn = {event.number for event in events if isinstance(event, Outcome) and _is_effect(event, called)}
    return [
        event for event in events if isinstance(event, Delivered) and event.is_accepted and event.number in withdrawn
    ]


def _is_effect(event: Event, called: Called) -> bool:
    match event:
        case Change(_, episode, event=kind):
            return kind == ENDED and episode == called.ended
        case Outcome(episode=episode, by_operator=by_operator):
            return by_operator and episode == called.ended
    return False


class _Writer:
    """Writes the script of some events."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._steps: list[Step] = []
        self._done: set[object] = set()
        outcomes = [event for event in events if isinstance(event, Outcome)]
        self._judged = {outcome.stamp for outcome in outcomes}
        first = {outcome.number: outcome for outcome in reversed(outcomes)}
        self._late = {number for number, outcome in first.items() if outcome.came_late}
        told = [event for event in reversed(events) if isinstance(event, Chunk)]
        self._chunks = {event.number: event for event in told if not event.is_value}
        self._values = {event.number: event for event in told if event.is_value}
        counted = {outcome.number for outcome in outcomes if outcome.valid}
        self._withdrawn = {outcome.number for outcome in outcomes if outcome.by_operator} & counted
        taken = {event.number for event in events if isinstance(event, Delivered) and event.is_accepted}
        self._untaken = self._withdrawn - taken
        # What would complete a transition that trainer_node has never taken is told after the discard.
        self._held = {number + 1 for number in self._untaken} - counted
        self._reports: dict[int, list[Told]] = {}
        for event in events:
            if isinstance(event, Told) and event.stamp is not None:
                self._reports.setdefault(event.stamp, []).append(event)

    def steps(self) -> list[Step]:
        """Returns all steps."""
        for event in self._events:
            match event:
                case Told(stamp=stamp) if stamp in self._judged:
                    pass  # It is told when its outcome is due.
                case Told():
                    self._tell(event)
                case Chunk(number=number, is_value=False) if number in self._late | self._held:
                    pass  # likewise
                case Chunk(number=number, is_value=True) if number in self._untaken:
                    pass
                case Chunk(told):
                    self._tell(told)
                case Outcome():
                    self._await_outcome(event)
                case Change():
                    self._await_change(event)
                case Delivered():
                    self._await_delivery(event)
                case Version(_, version):
                    self._await(event, ("version", version))
                case Called():
                    self._call(event)
        return self._steps

    def _tell(self, told: Told) -> None:
        if told.key is None or (told.topic, told.key) not in self._done:
            self._done.add((told.topic, told.key))
            self._steps.append(Tell(told))

    def _await(self, said: Outcome | Change | Delivered | Version, key: object) -> None:
        if key not in self._done:
            self._done.add(key)
            self._steps.append(Await(said))

    def _call(self, called: Called) -> None:
        """Calls a service. Where its episode ends only with the running chunk, that one is told before."""
        if called.waits:
            judged = {number for number in self._chunks if ("outcome", number, True) in self._done}
            running = [number for number, chunk in self._chunks.items() if chunk.episode == called.ended]
            for number in sorted(set(running) - judged - self._late)[:1]:
                self._tell(self._chunks[number].told)
        self._steps.append(Call(called))

    def _await_outcome(self, outcome: Outcome) -> None:
        if outcome.number in self._chunks:
            self._tell(self._chunks[outcome.number].told)
        for told in self._reports.get(outcome.stamp, ()):
            self._tell(told)
        if outcome.by_operator and outcome.number in self._withdrawn:
            return  # reward_node says so only where trainer_node has not answered the transition by then.
        self._await(outcome, ("outcome", outcome.number, outcome.valid))

    def _await_change(self, change: Change) -> None:
        if change.event == STARTED and ("change", change.episode, STARTED) not in self._done:
            self._steps.append(Start(change.time, change.episode))
        if change.event in (RESET, STARTED, ENDED):
            self._await(change, ("change", change.episode, change.event))

    def _await_delivery(self, delivered: Delivered) -> None:
        """Waits for the answer to a transition, whose next value is told before."""
        number = delivered.number
        if number in self._untaken:
            return
        chunk, following = self._chunks.get(number), self._chunks.get(number + 1)
        if number in self._values:
            self._tell(self._values[number].told)
        elif chunk and following and chunk.episode == following.episode and following.number not in self._late:
            self._tell(following.told)
        self._await(delivered, ("delivered", number))
