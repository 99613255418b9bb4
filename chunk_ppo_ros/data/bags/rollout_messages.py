"""Reads the messages of a recording from which `rollout_bag.py` makes episodes."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bags.bag_format import check_format
from chunk_ppo_ros.data.bags.bag_messages import BagMessage, Bags, MessagePlace, ends_with, opened
from chunk_ppo_ros.data.bags.rollout_parts import parts_sentences, refuse_other_recordings
from chunk_ppo_ros.data.bags.storage.errors import text_of
from chunk_ppo_ros.data.bags.storage.stored import Channel
from chunk_ppo_ros.data.topic_names import (
    ACTION_CHUNK,
    CHUNK_OUTCOME,
    EPISODE_EVENT,
    EXECUTION_RESULT,
    FOLLOWER_STATES,
    LEADER_STATES,
)
from chunk_ppo_ros.robot import aloha, grippers

EpisodeKey = tuple[str, str, int]
"""What an episode is identified by: its run, its sender and its number."""

_SIDES = {topic: side for side, topic in FOLLOWER_STATES.items()}
_SAME_ANGLE = 1e-9  # rad
_ENDED_AS_SUCCESS = (2, 1)  # ENDED and SUCCESS of EpisodeEvent.msg
_REQUIRED = (ACTION_CHUNK, EXECUTION_RESULT, *_SIDES)


@dataclasses.dataclass(frozen=True)
class RecordedChunk:
    """The part of an `action_chunk` that is kept, with the place of its images instead of the images.

    Attributes:
        run_id: the run of the chunk.
        sender: the robot of the run that executed the chunk.
        episode: the number of the chunk's episode, which counts the episodes of run and sender.
        sequence_number: the number of the chunk in the run.
        actions: float32 [H, 14], the targets, rad, grippers normalized.
        prompt: the task in words.
        channel: the topic of the message, with its namespace, and its type.
        stamp: the stamp of the chunk, ns.
        place: where the message is, with its images.
        seen: the cameras that the policy had, a bool for each of the C cameras.
    """

    run_id: str
    sender: str
    episode: int
    sequence_number: int
    actions: np.ndarray
    prompt: str
    channel: Channel
    stamp: int
    place: MessagePlace
    seen: tuple[bool, ...]

    @property
    def namespace(self) -> str:
        """The namespace of the nodes that sampled and recorded the chunk, such as "/" or "/lab/"."""
        return self.channel.topic.removesuffix(ACTION_CHUNK)

    @property
    def episode_key(self) -> EpisodeKey:
        """The run, the sender and the number of the episode of the chunk."""
        return self.run_id, self.sender, self.episode

    @property
    def episode_name(self) -> str:
        """The episode of the chunk in words."""
        robot = f" of {self.sender}" if self.sender else ""
        return f"run {self.run_id}, episode {self.episode}{robot}"


@dataclasses.dataclass(frozen=True)
class Recording:
    """The parts of all messages that are kept. One recording may hold several robots.

    Attributes:
        chunks: the chunks by their sender and stamp, ns.
        results: the number of executed steps and the end of the last one, s, by sender and stamp of the chunk.
        joints: the times, s, and states [7] of an arm, by its side and by the namespace of its joint states.
        outcomes: whether each chunk was a success, by episode, and that the whole episode was one.
        rewards: the reward of each chunk, by its sender and stamp, ns.
        said: sentences about parts that are missing, cut off, or there twice.
        unused: the other topics with their types.
    """

    chunks: dict[tuple[str, int], RecordedChunk]
    results: dict[tuple[str, int], tuple[int, float]]
    joints: dict[str, dict[str, list[tuple[float, np.ndarray]]]]
    outcomes: dict[EpisodeKey, list[bool]]
    rewards: dict[tuple[str, int], float] = dataclasses.field(default_factory=dict)
    said: list[str] = dataclasses.field(default_factory=list)
    unused: list[str] = dataclasses.field(default_factory=list)


def read_messages(
    bags: tuple[pathlib.Path, ...], convention: grippers.GripperConvention, folder: pathlib.Path
) -> Recording:
    """Returns the parts of a recording's messages that are kept.

    Args:
        bags: the parts of the recording.
        convention: the convention by which the robot's grippers are normalized.
        folder: the folder of the recording, for error texts.

    Raises:
        EpisodesError: where the bags cannot be read or lack a required topic.
    """
    recording = Recording({}, {}, {side: {} for side in aloha.SIDES}, {})
    with opened(bags) as reader:
        check_format(reader)
        _read(reader, recording, convention, folder)
        recording.said.extend([*parts_sentences(bags), *reader.cut_off_files()])
    return recording


def _read(reader: Bags, recording: Recording, convention: grippers.GripperConvention, folder: pathlib.Path) -> None:
    """Adds each message of interest to the recording.

    Raises:
        EpisodesError: where the bags lack a required topic.
    """
    names = _find_topics(reader, folder)
    refuse_other_recordings(reader)
    unused = {each.topic: each.type_name for each in reader.channels if each.topic not in names}
    recording.unused.extend(f"{topic}, {type_name}" for topic, type_name in sorted(unused.items()))
    repeated = set()
    for stored in reader.messages(names):
        name, message, stamp = names[stored.topic], stored.decode(), stored.stamp()
        if name == ACTION_CHUNK:
            chunk = _to_chunk(message, stored, stamp)
            known = recording.chunks.setdefault((message.sender, stamp), chunk)
            if known is not chunk:
                _check_copy(known, chunk, folder)
                repeated.add(stored.file.parent.name)
        elif name == EXECUTION_RESULT:
            recording.results[message.sender, stamp] = (message.num_steps, message.end.sec + message.end.nanosec * 1e-9)
        elif name == CHUNK_OUTCOME:
            key = message.run_id, message.sender, message.episode
            recording.outcomes.setdefault(key, []).append(bool(message.success))
            recording.rewards[message.sender, stamp] = float(message.reward)
        elif name == EPISODE_EVENT:
            if (message.event, message.outcome) == _ENDED_AS_SUCCESS:  # An operator may say so after the last chunk.
                recording.outcomes.setdefault((message.run_id, message.sender, message.episode), []).append(True)
        else:
            state = _read_state(message, stored, convention)
            arms = recording.joints[_SIDES[name]]
            arms.setdefault(stored.topic.removesuffix(name), []).append((stamp * 1e-9, state))
    if repeated:
        recording.said.append(f"chunks in {', '.join(sorted(repeated))} are in other parts too, and count once")


def _find_topics(reader: Bags, folder: pathlib.Path) -> dict[str, str]:
    """Returns the relative name of each topic that is read.

    Raises:
        EpisodesError: where the bags lack a required topic.
    """
    topics = {each.topic for each in reader.channels}
    names = {
        topic: name for topic in topics for name in (*_REQUIRED, CHUNK_OUTCOME, EPISODE_EVENT) if ends_with(topic, name)
    }
    if set(_REQUIRED) - set(names.values()):
        found = ", ".join(sorted(topics)) or "none"
        raise EpisodesError(
            f"recording must have {', '.join(_REQUIRED)}, got the topics {found} in {folder}; record with "
            f"recorder_node, or demonstrations by leader arms with {' and '.join(LEADER_STATES.values())}"
        )
    return names


def _check_copy(known: RecordedChunk, again: RecordedChunk, folder: pathlib.Path) -> None:
    """Refuses two different chunks with one sender and one stamp.

    Raises:
        EpisodesError: for such chunks.
    """
    same = dataclasses.replace(again, place=known.place, channel=known.channel, actions=known.actions) == known
    if not same or not np.array_equal(known.actions, again.actions, equal_nan=True):
        raise EpisodesError(
            f"the chunks of a robot must have different stamps, got two with the stamp {known.stamp} ns in {folder}; "
            "read the two recordings separately"
        )


def _read_state(message: Any, stored: BagMessage, convention: grippers.GripperConvention) -> np.ndarray:
    """Returns an arm's joint states as its seven numbers.

    Raises:
        EpisodesError: where a joint is missing or not finite.
    """
    try:
        return _side_state(message, convention)
    except ValueError as error:
        raise EpisodesError(f"{text_of(error)}; got it on {stored.topic} in {stored.file}") from error


def _side_state(message: Any, convention: grippers.GripperConvention) -> np.ndarray:
    """Returns an arm's joint states as its seven numbers.

    Older versions of sim_node published a motor angle in proportion to the finger, against the linkage. The finger is
    read from their recordings.
    """
    joints = dict(zip(message.name, message.position, strict=False))
    motor, finger = (joints.get(name, np.nan) for name in (aloha.GRIPPER, aloha.LEFT_FINGER))
    proportional = convention.motor_from_opening(convention.opening_from_finger(finger))
    if not abs(motor - proportional) < _SAME_ANGLE:
        return aloha.side_state(message.name, message.position, convention)
    del joints[aloha.GRIPPER]
    return aloha.side_state(tuple(joints), tuple(joints.values()), convention)


def _to_chunk(message: Any, stored: BagMessage, stamp: int) -> RecordedChunk:
    """Returns the part of a chunk that is kept.

    Raises:
        EpisodesError: where the actions are not of both arms, or not as many as the message says.
    """
    horizon, dim = message.horizon, message.action_dim
    if dim != aloha.ACTION_DIM or len(message.actions) != horizon * dim:
        raise EpisodesError(
            f"a chunk must have {aloha.ACTION_DIM} numbers for each action, got {len(message.actions)} numbers of "
            f"{horizon} actions with {dim} in {stored.file}; leave the recording out"
        )
    if not f"{message.run_id}{message.sender}".isprintable():
        raise EpisodesError(
            f"the run and the sender of a chunk must be printable, got {message.run_id!r} and {message.sender!r} in "
            f"{stored.file}; copy it again"
        )
    return RecordedChunk(
        run_id=message.run_id,
        sender=message.sender,
        episode=message.episode,
        sequence_number=message.sequence_number,
        actions=np.array(message.actions, np.float32).reshape(horizon, dim),
        prompt=message.observation.prompt,
        channel=stored.channel,
        stamp=stamp,
        place=stored.place,
        seen=tuple(bool(seen) for seen in message.observation.image_mask),
    )
