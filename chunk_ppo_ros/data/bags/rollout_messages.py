"""Reads the messages of a recording from which `rollout_bag.py` makes episodes."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.stamps import stamp_of
from chunk_ppo_ros.data.bags.bag_messages import deserialize, ends_with, opened
from chunk_ppo_ros.data.topic_names import ACTION_CHUNK, CHUNK_OUTCOME, EXECUTION_RESULT, FOLLOWER_STATES
from chunk_ppo_ros.robot import aloha, grippers

EpisodeKey = tuple[str, str, int]
"""What an episode is identified by: its run, its sender and its number."""

_SIDES = {topic: side for side, topic in FOLLOWER_STATES.items()}
_SAME_ANGLE = 1e-9  # rad
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
        topic: the topic of the message, with its namespace.
        stamp: the stamp of the chunk, ns.
        received: the time when the message was recorded, ns.
        seen: the cameras that the policy had, a bool for each of the C cameras.
    """

    run_id: str
    sender: str
    episode: int
    sequence_number: int
    actions: np.ndarray
    prompt: str
    topic: str
    stamp: int
    received: int
    seen: tuple[bool, ...]

    @property
    def namespace(self) -> str:
        """The namespace of the nodes that sampled and recorded the chunk, such as "/" or "/lab/"."""
        return self.topic.removesuffix(ACTION_CHUNK)

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
        outcomes: whether each chunk was a success, by episode.
    """

    chunks: dict[tuple[str, int], RecordedChunk]
    results: dict[tuple[str, int], tuple[int, float]]
    joints: dict[str, dict[str, list[tuple[float, np.ndarray]]]]
    outcomes: dict[EpisodeKey, list[bool]]


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
        _read(reader, recording, convention, folder)
    return recording


def _read(
    reader: AnyReader, recording: Recording, convention: grippers.GripperConvention, folder: pathlib.Path
) -> None:
    """Adds each message of interest to the recording.

    Raises:
        EpisodesError: where the bags lack a required topic.
    """
    names = {
        each.topic: name
        for each in reader.connections
        for name in (*_REQUIRED, CHUNK_OUTCOME)
        if ends_with(each.topic, name)
    }
    missing = sorted(set(_REQUIRED) - set(names.values()))
    if missing:
        found = ", ".join(sorted({each.topic for each in reader.connections})) or "none"
        raise EpisodesError(
            f"recording must have {', '.join(_REQUIRED)}, got the topics {found} in {folder}; record with recorder_node"
        )
    wanted = [each for each in reader.connections if each.topic in names]
    for connection, received, data in reader.messages(wanted):
        name, message = names[connection.topic], deserialize(reader, data, connection.msgtype)
        stamp = stamp_of(data)
        if name == ACTION_CHUNK:
            recording.chunks[message.sender, stamp] = _to_chunk(message, connection.topic, stamp, received)
        elif name == EXECUTION_RESULT:
            recording.results[message.sender, stamp] = (message.num_steps, message.end.sec + message.end.nanosec * 1e-9)
        elif name == CHUNK_OUTCOME:
            key = message.run_id, message.sender, message.episode
            recording.outcomes.setdefault(key, []).append(bool(message.success))
        else:
            state = _side_state(message, convention)
            arms = recording.joints[_SIDES[name]]
            arms.setdefault(connection.topic.removesuffix(name), []).append((stamp * 1e-9, state))


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


def _to_chunk(message: Any, topic: str, stamp: int, received: int) -> RecordedChunk:
    return RecordedChunk(
        run_id=message.run_id,
        sender=message.sender,
        episode=message.episode,
        sequence_number=message.sequence_number,
        actions=np.array(message.actions, np.float32).reshape(message.horizon, message.action_dim),
        prompt=message.observation.prompt,
        topic=topic,
        stamp=stamp,
        received=received,
        seen=tuple(bool(seen) for seen in message.observation.image_mask),
    )
