"""Reads the events of a run from a recording of recorder_node."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chunk_ppo_msgs.msg import EpisodeEvent, TransitionAck

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.data.bags.bag_format import check_format
from chunk_ppo_ros.data.bags.bag_messages import BagMessage, Bags, MessagePlace, ends_with, opened
from chunk_ppo_ros.nodes.replay.events import Called, Change, Chunk, Delivered, Event, Outcome, Told, Version
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import time_to_ns

LATE = "its episode is over"
"""The reason that reward_node gives for a chunk that came after the end of its episode."""
STOPPED = "the run was stopped"
"""The reason that it gives for the end of an episode that ran when the graph was stopped, and was started again."""
BY_OPERATOR = "by the operator"
"""The reason that it gives for the chunks of an episode that an operator has discarded."""
WITH_CHUNK = "with the running chunk"
"""How its answer to `end_episode` ends where a chunk runs."""
_ENDS = re.compile(r"episode (\d+) ends as ")
CALLS = ("end_episode", "pause", "reset")
"""The calls of an operator that are replayed. Episodes are started where the recorded ones were."""
TOLD = (
    topics.ACTION_CHUNK,
    topics.BOOTSTRAP,
    topics.EXECUTION_RESULT,
    topics.TASK_REWARD,
    topics.TAKEOVER_STATE,
    topics.EMERGENCY_STOP_STATE,
    topics.HUMAN_FEEDBACK,
)
"""The topics by which reward_node is told what happened."""
_SAID = (
    topics.POLICY_VERSION,
    topics.CHUNK_OUTCOME,
    topics.EPISODE_EVENT,
    topics.TRANSITION,
    topics.TRANSITION_ACK,
    topics.OPERATOR_CALL,
)


class ReplayError(UserError):
    """A recording cannot be replayed."""


@dataclasses.dataclass(frozen=True)
class RecordedRun:
    """A run in a recording.

    Attributes:
        run_id: the identity of the run.
        events: what happened, in the order of the times at which it was recorded.
        transitions: where the first message of each transition is that trainer_node has accepted, by its number.
        lost: the numbers of accepted transitions whose message is not in the recording.
    """

    run_id: str
    events: tuple[Event, ...]
    transitions: dict[int, MessagePlace]
    lost: tuple[int, ...] = ()


def read_run(bags: tuple[Path, ...]) -> RecordedRun:
    """Returns the run of a recording.

    Args:
        bags: the parts of the recording.

    Raises:
        EpisodesError: where the recording cannot be read.
        ReplayError: where it has no run from its beginning, or several robots.
    """
    with opened(bags) as reader:
        check_format(reader)
        return _Reader(reader).read()


class _Reader:
    """Reads the messages of open bags."""

    def __init__(self, bags: Bags) -> None:
        names = (*TOLD, *_SAID)
        self._bags = bags
        self._names = {
            channel.topic: topic.name
            for channel in bags.channels
            for topic in names
            if ends_with(channel.topic, topic.name)
        }
        missing = [topic.name for topic in _SAID[:4] if topic.name not in self._names.values()]
        if missing:
            found = ", ".join(sorted(bags.folders[0].counts)) if bags.folders else "no bag"
            raise ReplayError(
                f"a recording of a training must have {', '.join(missing)}, got {found}; record with graph --record"
            )
        if len(set(self._names.values())) < len(self._names):
            raise ReplayError("a recording must be of one robot, got topics in several namespaces; record each alone")
        self._run_id = ""
        self._transitions: dict[int, MessagePlace] = {}
        self._accepted: set[int] = set()

    def read(self) -> RecordedRun:
        """Returns the run."""
        found = [event for message in self._messages() for event in self._events(message)]
        if not self._run_id:
            raise ReplayError("a recording must hold the announcement of a policy, got none; record from the start")
        transitions = {number: self._transitions[number] for number in self._accepted if number in self._transitions}
        lost = tuple(sorted(self._accepted - transitions.keys()))
        return RecordedRun(self._run_id, tuple(found), transitions, lost)

    def _messages(self) -> list[BagMessage]:
        """Returns the messages without those of other topics, by the time at which they were recorded."""
        light = [dataclasses.replace(message, data=b"") for message in self._bags.messages(tuple(self._names))]
        return sorted(light, key=lambda message: message.received)

    def _events(self, message: BagMessage) -> Iterator[Event]:
        name, place, time = self._names[message.topic], message.place, message.received
        content = dataclasses.replace(message, data=self._bags.raw(place)).decode()
        if name == topics.POLICY_VERSION.name and not self._run_id:
            self._begin(content)
        if getattr(content, "run_id", self._run_id) not in (self._run_id, "") or not _is_of_robot(content):
            return
        told = Told(time, name, place)
        match name:
            case topics.ACTION_CHUNK.name:
                number = int(content.sequence_number)
                yield Chunk(dataclasses.replace(told, key=(number,)), number, int(content.episode))
            case topics.BOOTSTRAP.name:
                number = int(content.sequence_number)
                yield Chunk(dataclasses.replace(told, key=(number,)), number, is_value=True)
            case topics.EXECUTION_RESULT.name:
                stamp = time_to_ns(content.header.stamp)
                yield dataclasses.replace(told, key=(stamp,), stamp=stamp)
            case topics.TASK_REWARD.name:
                stamp, source = time_to_ns(content.header.stamp), str(content.source)
                yield dataclasses.replace(told, key=(stamp, source), stamp=stamp, source=source)
            case topics.TRANSITION.name:
                self._transitions.setdefault(int(content.chunk.sequence_number), place)
            case _ if name in (topic.name for topic in TOLD):
                yield told
            case _:
                yield from self._said(name, time, content)

    def _begin(self, content: Any) -> None:
        if content.version:
            raise ReplayError(
                f"a recording must begin with version 0 of its run, got version {content.version}; its first parts are "
                "missing, or it was recorded from a later start"
            )
        self._run_id = str(content.run_id)

    def _said(self, name: str, time: int, content: Any) -> Iterator[Event]:
        match name:
            case topics.POLICY_VERSION.name:
                yield Version(time, int(content.version))
            case topics.CHUNK_OUTCOME.name:
                yield Outcome(
                    time,
                    int(content.sequence_number),
                    int(content.episode),
                    time_to_ns(content.header.stamp),
                    bool(content.valid),
                    came_late=content.message == LATE,
                    by_operator=content.message == BY_OPERATOR,
                )
            case topics.EPISODE_EVENT.name:
                interrupted = content.outcome == EpisodeEvent.INTERRUPTED or content.message.startswith(STOPPED)
                yield Change(time, int(content.episode), int(content.event), interrupted)
            case topics.TRANSITION_ACK.name if content.status != TransitionAck.RETRY:
                number, is_accepted = int(content.sequence_number), content.status == TransitionAck.ACCEPTED
                if is_accepted:
                    self._accepted.add(number)
                yield Delivered(time, number, is_accepted)
            case topics.OPERATOR_CALL.name if content.success and content.name in CALLS:
                if content.node == "reward_node":
                    ended = _ENDS.match(content.message)
                    episode = None if ended is None else int(ended[1])
                    waits = content.message.endswith(WITH_CHUNK)
                    yield Called(time, str(content.name), str(content.request), episode, waits)


def _is_of_robot(content: Any) -> bool:
    return str(getattr(content, "sender", DEFAULT_SENDER)) == DEFAULT_SENDER
