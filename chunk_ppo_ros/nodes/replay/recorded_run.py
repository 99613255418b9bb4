"""Reads from a recording of recorder_node what the nodes of a run have handled, and the transitions that came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.core.types import DEFAULT_SENDER
from chunk_ppo_ros.data.bags.bag_format import check_format
from chunk_ppo_ros.data.bags.bag_messages import BagMessage, Bags, MessagePlace, ends_with, opened
from chunk_ppo_ros.nodes.common.inputs.handled_inputs import RECORDED_ONCE
from chunk_ppo_ros.nodes.replay.handled import Handled, ReplayError, in_order, of_run
from chunk_ppo_ros.nodes.wire import topics

_TOPICS = (topics.HANDLED_INPUT, topics.ACTION_CHUNK, topics.BOOTSTRAP, topics.TRANSITION, topics.TRANSITION_ACK)
_ACCEPTED = (msg.TransitionAck.ACCEPTED, msg.TransitionAck.DUPLICATE)


@dataclasses.dataclass(frozen=True)
class RecordedRun:
    """A run in a recording.

    Attributes:
        run_id: the identity of the run.
        inputs: what reward_node has handled, in its order.
        answers: what trainer_node has handled: the transitions that it has answered, the ends of episodes, and the
            versions that it has saved, in its order.
        places: where the messages with images are, by the name of the topic and the sequence number.
        transitions: where the first message of each transition is that trainer_node has accepted, by its number.
        lost: the numbers of accepted transitions whose message is not in the recording.
    """

    run_id: str
    inputs: tuple[Handled, ...] = ()
    answers: tuple[Handled, ...] = ()
    places: dict[tuple[str, int], MessagePlace] = dataclasses.field(default_factory=dict)
    transitions: dict[int, MessagePlace] = dataclasses.field(default_factory=dict)
    lost: tuple[int, ...] = ()


def read_run(bags: tuple[Path, ...]) -> RecordedRun:
    """Returns the run of a recording.

    Args:
        bags: the parts of the recording.

    Raises:
        EpisodesError: where the recording cannot be read.
        ReplayError: where it has no run from its beginning, or several robots, or lacks what a replay needs.
    """
    with opened(bags) as reader:
        check_format(reader)
        return _Reader(reader).read()


class _Reader:
    """Reads the messages of open bags."""

    def __init__(self, bags: Bags) -> None:
        self._bags = bags
        self._names = {
            channel.topic: topic.name
            for channel in bags.channels
            for topic in _TOPICS
            if ends_with(channel.topic, topic.name)
        }
        if topics.HANDLED_INPUT.name not in self._names.values():
            raise ReplayError(
                f"a recording must tell on {topics.HANDLED_INPUT.name} in which order reward_node has handled what it "
                "heard, got one without this topic, as earlier versions made it; record a run anew to replay it"
            )
        if len(set(self._names.values())) < len(self._names):
            raise ReplayError("a recording must be of one robot, got topics in several namespaces; record each alone")
        self._handled: list[Handled] = []
        self._places: dict[tuple[str, str, int], MessagePlace] = {}
        self._accepted: set[tuple[str, int]] = set()

    def read(self) -> RecordedRun:
        """Returns the run."""
        for message in self._bags.messages(tuple(self._names)):
            self._take(self._names[message.topic], message)
        ordered = in_order(self._handled, "reward_node")
        run_id = _run_id(ordered)
        places = {(name, number): place for (name, run, number), place in self._places.items() if run == run_id}
        accepted = {number for run, number in self._accepted if run == run_id}
        found = {
            number: places[key] for number in sorted(accepted) if (key := (topics.TRANSITION.name, number)) in places
        }
        return RecordedRun(
            run_id,
            of_run(ordered, run_id),
            tuple(one for one in in_order(self._handled, "trainer_node") if one.run_id == run_id),
            {(name, number): place for (name, number), place in places.items() if name in RECORDED_ONCE},
            found,
            tuple(sorted(accepted - found.keys())),
        )

    def _take(self, name: str, message: BagMessage) -> None:
        content = message.decode()
        identified = content.chunk if name == topics.TRANSITION.name else content
        if identified.sender != DEFAULT_SENDER:
            return
        match name:
            case topics.HANDLED_INPUT.name:
                self._handled.append(Handled.of(content))
            case topics.TRANSITION_ACK.name if content.status in _ACCEPTED:
                self._accepted.add((content.run_id, int(content.sequence_number)))
            case topics.TRANSITION.name | topics.ACTION_CHUNK.name | topics.BOOTSTRAP.name:
                self._note_place(name, identified, message.place)

    def _note_place(self, name: str, identified: Any, place: MessagePlace) -> None:
        self._places.setdefault((name, str(identified.run_id), int(identified.sequence_number)), place)


def _run_id(ordered: Sequence[Handled]) -> str:
    """Returns the run whose first version reward_node has heard of."""
    first = next((one for one in ordered if one.name == topics.POLICY_VERSION.name), None)
    if first is None:
        raise ReplayError("a recording must hold the announcement of a policy, got none; record from the start")
    version = deserialize_message(first.content, msg.PolicyVersion).version
    if version:
        raise ReplayError(
            f"a recording must begin with version 0 of its run, got version {version}; its first parts are missing, or "
            "it was recorded from a later start"
        )
    return first.run_id
