"""Reads episodes, as the robot executed them, from the rosbag2 folders that recorder_node writes. It needs no ROS.

The message `action_chunk` holds the targets, and what the policy saw at the start of each chunk. `execution_result`
says how many of the targets were executed and when. The joint states of both arms say where the robot was, and
`chunk_outcome` says whether the chunk was a success. An episode joins the executed parts of its chunks, without the
waiting between them. Targets are those that the policy or the human gave, before robot_node limited them.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.data.bag_messages import (
    METADATA,
    Track,
    check_format,
    deserialize,
    ends_with,
    find_bags,
    opened,
    read_message,
    stamp_of,
)
from chunk_ppo_ros.data.episode import Episode, ReadImage, camera_names
from chunk_ppo_ros.robot import aloha

CHUNKS = "action_chunk"
"""The relative name of the topic of a policy's chunks."""
_RESULTS = "execution_result"
_OUTCOMES = "chunk_outcome"
_JOINTS = {f"follower_{side}/joint_states": side for side in aloha.SIDES}
_REQUIRED = (CHUNKS, _RESULTS, *_JOINTS)


@dataclasses.dataclass(frozen=True)
class _Chunk:
    """Holds what is kept of an `action_chunk`. Of its images it keeps only where to find them.

    Attributes:
        run_id: the run of the chunk.
        episode: the number of the chunk's episode.
        sequence_number: the number of the chunk in the run.
        actions: float32 [H, 14], the targets, rad, grippers normalized.
        prompt: the task in words.
        topic: the topic of the message, with its namespace.
        stamp: the stamp of the chunk, ns.
        received: the time when the message was recorded, ns.
        seen: the cameras that the policy had, a bool for each of the C cameras.
    """

    run_id: str
    episode: int
    sequence_number: int
    actions: np.ndarray
    prompt: str
    topic: str
    stamp: int
    received: int
    seen: tuple[bool, ...]


@dataclasses.dataclass(frozen=True)
class _Recording:
    """Holds what is kept of all messages.

    Attributes:
        chunks: the chunks by their stamps, ns.
        results: the number of executed steps and the end of the last one, s, by the stamp of the chunk.
        joints: the times, s, and states [7] of each arm.
        outcomes: whether each chunk was a success, by run and episode.
    """

    chunks: dict[int, _Chunk]
    results: dict[int, tuple[int, float]]
    joints: dict[str, list[tuple[float, np.ndarray]]]
    outcomes: dict[tuple[str, int], list[bool]]


@dataclasses.dataclass(frozen=True)
class _Executed:
    """Holds a chunk, and the states float32 [k, 14] at its executed steps."""

    chunk: _Chunk
    states: np.ndarray


class RolloutBagReader:
    """Reads a recording of recorder_node, whose bags are its parts, as an `EpisodeReader`."""

    description = f"recordings of recorder_node ({METADATA}, or folders that have it)"

    def recognizes(self, path: pathlib.Path) -> bool:
        """Returns whether the path is a bag or a folder of bags."""
        return bool(find_bags(path))

    def read(self, path: pathlib.Path, config: TrainConfig) -> Iterator[Episode]:
        """Yields the episodes of a recording, as `read_bag` returns them."""
        yield from read_bag(
            path,
            convention=aloha.GRIPPER_CONVENTIONS[config.robot.gripper_convention],
            rate=config.robot.control_rate,
            cameras=camera_names(config),
            prompt=config.run.prompt,
        )


def read_bag(
    folder: pathlib.Path,
    *,
    convention: aloha.GripperConvention,
    rate: float,
    cameras: Sequence[str],
    prompt: str = "",
) -> list[Episode]:
    """Returns the episodes of a recording, in order. Episodes of which nothing was executed are left out.

    Args:
        folder: a bag, or a folder of the parts of a recording.
        convention: the convention by which the robot's grippers are normalized.
        rate: the control rate of the recording, Hz.
        cameras: the names of the policy's cameras, in its order. A recording does not hold them.
        prompt: the prompt that replaces those of the chunks where it is not empty.

    Raises:
        EpisodesError: where the recording cannot be read, is not of recorder_node, has messages of another format, or
            lacks joint states.
    """
    bags = tuple(find_bags(folder))
    for bag in bags:
        check_format(bag)
    recording = _Recording({}, {}, {side: [] for side in aloha.SIDES}, {})
    with opened(bags) as reader:
        _read(reader, recording, convention, folder)
    tracks = {side: Track.of(joints) for side, joints in recording.joints.items()}
    by_episode: dict[tuple[str, int], list[_Executed]] = {}
    for stamp, chunk in sorted(recording.chunks.items()):
        num_steps, end = recording.results.get(stamp, (0, 0.0))
        if num_steps:
            times = end - np.arange(num_steps, 0, -1) / rate
            source = f"chunk {chunk.sequence_number} of run {chunk.run_id} in {folder}"
            states = [tracks[side].at(times, f"the {side} arm at {source}") for side in aloha.SIDES]
            part = _Executed(chunk, np.concatenate(states, axis=1, dtype=np.float32))
            by_episode.setdefault((chunk.run_id, chunk.episode), []).append(part)
    return [
        _to_episode(
            parts,
            source=f"{folder}, run {run_id}, episode {number}",
            rate=rate,
            prompt=prompt or parts[0].chunk.prompt,
            success=any(recording.outcomes[run_id, number]) if (run_id, number) in recording.outcomes else None,
            images=_Images(bags, tuple(cameras)),
        )
        for (run_id, number), parts in by_episode.items()
    ]


@dataclasses.dataclass(frozen=True)
class _Images:
    """Reads images from the bags again. `cameras` has the names of the cameras in the order of the messages."""

    bags: tuple[pathlib.Path, ...]
    cameras: tuple[str, ...]

    def readers(self, parts: list[_Executed], starts: np.ndarray) -> dict[str, ReadImage]:
        """Returns functions that read the cameras which the policy had in all chunks.

        Args:
            parts: the executed chunks of an episode.
            starts: int [N], the first steps of these chunks.
        """
        seen = [all(column) for column in zip(*(part.chunk.seen for part in parts), strict=True)]
        by_step = {int(step): part.chunk for step, part in zip(starts, parts, strict=True)}
        return {
            camera: functools.partial(self._read, by_step, index)
            for index, camera in enumerate(self.cameras)
            if index < len(seen) and seen[index]
        }

    def _read(self, by_step: dict[int, _Chunk], camera: int, step: int) -> np.ndarray:
        chunk = by_step[step]
        seen = read_message(self.bags, chunk.topic, chunk.received, chunk.stamp).observation
        return np.asarray(seen.images).reshape(seen.num_cameras, seen.height, seen.width, 3)[camera]


def _to_episode(
    parts: list[_Executed], *, source: str, rate: float, prompt: str, success: bool | None, images: _Images
) -> Episode:
    starts = np.cumsum([0, *(len(part.states) for part in parts[:-1])])
    return Episode(
        source=source,
        states=np.concatenate([part.states for part in parts]),
        actions=np.concatenate([part.chunk.actions[: len(part.states)] for part in parts]),
        rate=rate,
        prompt=prompt,
        success=success,
        cameras=images.readers(parts, starts),
        image_steps=starts,
    )


def _read(reader: AnyReader, recording: _Recording, convention: aloha.GripperConvention, folder: pathlib.Path) -> None:
    """Adds each message of interest to the recording.

    Raises:
        EpisodesError: where the bags lack a required topic.
    """
    names = {
        each.topic: name
        for each in reader.connections
        for name in (*_REQUIRED, _OUTCOMES)
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
        if name == CHUNKS:
            recording.chunks[stamp] = _to_chunk(message, connection.topic, stamp, received)
        elif name == _RESULTS:
            recording.results[stamp] = (message.num_steps, message.end.sec + message.end.nanosec * 1e-9)
        elif name == _OUTCOMES:
            recording.outcomes.setdefault((message.run_id, message.episode), []).append(bool(message.success))
        else:
            state = aloha.side_state(message.name, message.position, convention)
            recording.joints[_JOINTS[name]].append((stamp * 1e-9, state))


def _to_chunk(message: Any, topic: str, stamp: int, received: int) -> _Chunk:
    return _Chunk(
        run_id=message.run_id,
        episode=message.episode,
        sequence_number=message.sequence_number,
        actions=np.array(message.actions, np.float32).reshape(message.horizon, message.action_dim),
        prompt=message.observation.prompt,
        topic=topic,
        stamp=stamp,
        received=received,
        seen=tuple(bool(seen) for seen in message.observation.image_mask),
    )
