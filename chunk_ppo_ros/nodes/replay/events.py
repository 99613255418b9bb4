"""Defines what a replay takes from a recording: what nodes were told, what they said, and in which order."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

from chunk_ppo_ros.data.bags.bag_messages import MessagePlace


@dataclasses.dataclass(frozen=True)
class Told:
    """A message that reward_node was told.

    Attributes:
        time: when it was recorded, ns.
        topic: the relative name of its topic.
        place: where it is in the recording.
        key: what identifies the message on its topic, so that a repetition is known; None where each message counts.
        stamp: the stamp of the chunk that it reports on, ns, or None.
        source: the source of a reward, else an empty string.
    """

    time: int
    topic: str
    place: MessagePlace
    key: tuple[object, ...] | None = None
    stamp: int | None = None
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A chunk that reward_node was told of, or the value after it.

    Attributes:
        told: the message.
        number: the sequence number of the chunk.
        episode: the number of its episode.
        is_value: whether it is a `bootstrap`.
    """

    told: Told
    number: int
    episode: int = -1
    is_value: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How reward_node said that a chunk ended.

    Attributes:
        time: when it was recorded, ns.
        number: the sequence number of the chunk.
        episode: the number of its episode.
        stamp: the stamp of the chunk, ns.
        valid: whether the chunk counts.
        came_late: whether the chunk does not count because it came after the end of its episode.
        by_operator: whether the chunk does not count because an operator discarded its episode.
    """

    time: int
    number: int
    episode: int
    stamp: int
    valid: bool
    came_late: bool = False
    by_operator: bool = False


@dataclasses.dataclass(frozen=True)
class Change:
    """A change of an episode that reward_node published.

    Attributes:
        time: when it was recorded, ns.
        episode: the number of the episode.
        event: the event, as in EpisodeEvent.msg.
        is_interrupted: whether the episode ended because the robot or the simulator died, or the graph was stopped.
    """

    time: int
    episode: int
    event: int
    is_interrupted: bool = False


@dataclasses.dataclass(frozen=True)
class Called:
    """A call of an operator that reward_node answered with success.

    Attributes:
        time: when the answer was recorded, ns. What the call changed may have been recorded before.
        name: the name of the service.
        request: its fields as JSON.
        ended: the episode that it ended, or None.
        waits: whether the episode ended only with the running chunk.
    """

    time: int
    name: str
    request: str
    ended: int | None = None
    waits: bool = False


@dataclasses.dataclass(frozen=True)
class Delivered:
    """The final answer of the trainer to a transition, and whether the trainer took it."""

    time: int
    number: int
    is_accepted: bool = True


@dataclasses.dataclass(frozen=True)
class Version:
    """An announcement of the policy."""

    time: int
    version: int


Event: TypeAlias = Told | Chunk | Outcome | Change | Called | Delivered | Version
