"""Episodes in the rosbag2 folders that recorder_node writes, as executed by the robot; needs no ROS.

`action_chunk` holds the targets, `execution_result` how many of them were executed and when, and the joint states of
both arms where the robot was. An episode is what was executed of its chunks, one after the other, without the waiting
between them. Targets are those that the policy gave, before robot_node limited them. Camera topics are not recorded.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError

from chunk_ppo_ros.episode import Episode
from chunk_ppo_ros.errors import EpisodesError
from chunk_ppo_ros.robot import aloha

METADATA = "metadata.yaml"

_CHUNKS = "action_chunk"
_RESULTS = "execution_result"
_JOINTS = {f"follower_{side}/joint_states": side for side in aloha.SIDES}
_TOPICS = (_CHUNKS, _RESULTS, *_JOINTS)
_MAX_GAP = 0.1  # s, from a control step to the nearest joint states


@dataclasses.dataclass(frozen=True)
class _Chunk:
    """What is kept of an `action_chunk`: not its images."""

    run_id: str
    episode: int
    sequence_number: int
    actions: np.ndarray
    prompt: str


@dataclasses.dataclass(frozen=True)
class _Recording:
    """What is kept of all messages.

    Attributes:
        chunks: by stamp, ns.
        results: executed steps, and when the last one ended in s, by stamp of the chunk.
        joints: times in s and states [7], by arm.
    """

    chunks: dict[int, _Chunk]
    results: dict[int, tuple[int, float]]
    joints: dict[str, list[tuple[float, np.ndarray]]]


def find_bags(folder: pathlib.Path) -> list[pathlib.Path]:
    """The bags in a folder: itself, or the parts of a recording."""
    if (folder / METADATA).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{METADATA}"))


def read_bag(
    folder: pathlib.Path, *, convention: aloha.GripperConvention, rate: float, prompt: str = ""
) -> list[Episode]:
    """The episodes of a recording, in order; those of which nothing was executed are left out.

    Args:
        folder: a bag, or a folder of its parts.
        convention: by which the robot's grippers are normalised.
        rate: the control rate at which it was recorded, Hz.
        prompt: replaces those of the chunks, where not empty.

    Raises:
        EpisodesError: where the recording cannot be read, is not of recorder_node, or lacks joint states.
    """
    recording = _read(folder, convention)
    tracks = {side: _Track.of(joints) for side, joints in recording.joints.items()}
    by_episode: dict[tuple[str, int], list[tuple[_Chunk, np.ndarray]]] = {}
    for stamp, chunk in sorted(recording.chunks.items()):
        num_steps, end = recording.results.get(stamp, (0, 0.0))
        if num_steps:
            times = end - np.arange(num_steps, 0, -1) / rate
            source = f"chunk {chunk.sequence_number} of run {chunk.run_id} in {folder}"
            states = [tracks[side].at(times, f"the {side} arm at {source}") for side in aloha.SIDES]
            part = (chunk, np.concatenate(states, axis=1, dtype=np.float32))
            by_episode.setdefault((chunk.run_id, chunk.episode), []).append(part)
    return [
        Episode(
            source=f"{folder}, run {run_id}, episode {number}",
            states=np.concatenate([states for _, states in parts]),
            actions=np.concatenate([chunk.actions[: len(states)] for chunk, states in parts]),
            rate=rate,
            prompt=prompt or parts[0][0].prompt,
        )
        for (run_id, number), parts in by_episode.items()
    ]


def _read(folder: pathlib.Path, convention: aloha.GripperConvention) -> _Recording:
    recording = _Recording({}, {}, {side: [] for side in aloha.SIDES})
    try:
        with AnyReader(find_bags(folder)) as reader:
            for topic, message in _messages(reader, folder):
                _add(recording, topic, message, convention)
    except (AnyReaderError, OSError, ValueError) as error:
        raise EpisodesError(
            f"recording must be whole, got {folder}: {error}; leave out the part that is not"
        ) from error
    return recording


def _messages(reader: AnyReader, folder: pathlib.Path) -> Iterator[tuple[str, Any]]:
    """Each message of interest, with its topic without the namespace."""
    names = {
        each.topic: name for each in reader.connections for name in _TOPICS if f"/{each.topic}".endswith(f"/{name}")
    }
    missing = sorted(set(_TOPICS) - set(names.values()))
    if missing:
        found = ", ".join(sorted({each.topic for each in reader.connections})) or "none"
        raise EpisodesError(
            f"recording must have {', '.join(_TOPICS)}, got the topics {found} in {folder}; record with recorder_node"
        )
    for connection, _, data in reader.messages([each for each in reader.connections if each.topic in names]):
        yield names[connection.topic], reader.deserialize(data, connection.msgtype)


def _add(recording: _Recording, topic: str, message: Any, convention: aloha.GripperConvention) -> None:
    stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
    if topic == _CHUNKS:
        actions = np.array(message.actions, np.float32).reshape(message.horizon, message.action_dim)
        recording.chunks[stamp] = _Chunk(
            message.run_id, message.episode, message.sequence_number, actions, message.observation.prompt
        )
    elif topic == _RESULTS:
        recording.results[stamp] = (message.num_steps, message.end.sec + message.end.nanosec * 1e-9)
    else:
        state = aloha.side_state(message.name, message.position, convention)
        recording.joints[_JOINTS[topic]].append((stamp * 1e-9, state))


@dataclasses.dataclass(frozen=True)
class _Track:
    """Where an arm was: states [n, 7] at times [n] in s, which do not fall."""

    times: np.ndarray
    states: np.ndarray

    @classmethod
    def of(cls, joints: list[tuple[float, np.ndarray]]) -> _Track:
        ordered = sorted(joints, key=lambda each: each[0])
        return cls(np.array([time for time, _ in ordered]), np.array([state for _, state in ordered]))

    def at(self, times: np.ndarray, what: str) -> np.ndarray:
        """[k, 7], interpolated linearly at times [k]; `what` is for the message where they are too far away."""
        known = np.concatenate([[-np.inf], self.times, [np.inf]])
        after = np.searchsorted(known, times)
        gap = np.max(np.minimum(times - known[after - 1], known[after] - times))
        if gap > _MAX_GAP:
            raise EpisodesError(
                f"joint states must be recorded within {_MAX_GAP} s of each step, got {gap:.3g} s for {what}; leave "
                "out the recording that lacks them"
            )
        return np.stack([np.interp(times, self.times, column) for column in self.states.T], axis=1)
