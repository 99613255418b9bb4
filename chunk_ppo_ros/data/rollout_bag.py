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

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.data.bag_messages import (
    METADATA,
    Track,
    check_format,
    find_bags,
    read_message,
)
from chunk_ppo_ros.data.episode import Episode, ReadImage, camera_names
from chunk_ppo_ros.data.rollout_messages import RecordedChunk, read_messages
from chunk_ppo_ros.robot import aloha, grippers


@dataclasses.dataclass(frozen=True)
class _Executed:
    """Holds a chunk, and the states float32 [k, 14] at its executed steps."""

    chunk: RecordedChunk
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
            convention=grippers.GRIPPER_CONVENTIONS[config.robot.gripper_convention],
            rate=config.robot.control_rate,
            cameras=camera_names(config),
            prompt=config.run.prompt,
        )


def read_bag(
    folder: pathlib.Path,
    *,
    convention: grippers.GripperConvention,
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
    recording = read_messages(bags, convention, folder)
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

    def _read(self, by_step: dict[int, RecordedChunk], camera: int, step: int) -> np.ndarray:
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
