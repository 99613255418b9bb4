"""Reads from a recording what robot_node commanded and when, and which of it belongs to which chunk. It needs no ROS.

recorder_node records the commands of a run. A chunk's own commands are found by their numbers, because
`execution_result` repeats them. Commands between two chunks, in which the robot brakes, belong to none.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.data.bags.bag_format import check_format
from chunk_ppo_ros.data.bags.bag_messages import BagMessage, Bags, ends_with, opened
from chunk_ppo_ros.data.bags.storage.bag_folder import find_bags
from chunk_ppo_ros.data.topic_names import ACTION_CHUNK, ARM_COMMANDS, EXECUTION_RESULT, JOINT_GROUP_COMMANDS
from chunk_ppo_ros.robot import aloha

_SAME = 1e-5
"""How far a command and its copy in `execution_result`, which has fewer digits, may differ, rad."""
_NEAR = 5
"""The number of the newest commands before a result, and of those after it, that may be the chunk's last one."""


@dataclasses.dataclass(frozen=True)
class PlayedSpan:
    """Says which commands of a stream belong to one chunk.

    Attributes:
        first: the index of the chunk's first command.
        last: the index of its last command.
        episode: the episode of the chunk, as its run and number; None where its `action_chunk` is not recorded.
        status: how it ended.
    """

    first: int
    last: int
    episode: tuple[str, int] | None
    status: Status


@dataclasses.dataclass(frozen=True)
class CommandStream:
    """Holds the commands to the joints of one arm, in the order in which they were received.

    Attributes:
        received: float64 [n], the times at which the recorder received them, s of the wall clock.
        positions: float64 [n, 6], the commanded angles of the arm's joints, rad.
        spans: the chunks of which commands were sent, in order.
    """

    received: np.ndarray
    positions: np.ndarray
    spans: tuple[PlayedSpan, ...]


@dataclasses.dataclass(frozen=True)
class _Result:
    """Holds the part of an `execution_result` that is kept; `commanded` is [n, 6], of one arm."""

    received: float
    stamp: int
    status: Status
    commanded: np.ndarray


def read_command_stream(folder: pathlib.Path, *, side: str) -> CommandStream:
    """Returns the commands to one arm that a recording holds.

    Args:
        folder: a bag, or a folder of the parts of a recording.
        side: "left" or "right".

    Raises:
        EpisodesError: where the recording cannot be read, or has no commands or no results.
    """
    bags = find_bags(folder)
    if not bags:
        raise EpisodesError(f"a recording must be a rosbag2 folder or hold some, got {folder}; name a folder of bags")
    commands = (ARM_COMMANDS[side], JOINT_GROUP_COMMANDS[side])
    received: list[float] = []
    positions: list[Any] = []
    found: dict[int, _Result] = {}  # robot_node repeats a result until its outcome is known
    episodes: dict[int, tuple[str, int]] = {}
    with opened(bags) as reader:
        check_format(reader)
        for name, stored in _messages(reader, (*commands, EXECUTION_RESULT, ACTION_CHUNK)):
            message, time = stored.decode(), stored.received / NANOSECONDS
            if name == ACTION_CHUNK:
                episodes[stored.stamp()] = (message.run_id, message.episode)
            elif name in commands:
                received.append(time)
                positions.append(_positions(message, stored, is_trajectory=name == ARM_COMMANDS[side]))
            elif message.action_dim:
                result = _to_result(message, stored, side)
                known = found.setdefault(result.stamp, result)
                found[result.stamp] = min(known, result, key=lambda each: each.received)
    results = sorted(found.values(), key=lambda each: each.received)
    if not (received and results):
        raise EpisodesError(
            f"a recording must have {' or '.join(commands)}, and {EXECUTION_RESULT} of chunks that were played, got "
            f"{len(received)} commands and {len(results)} results in {folder}; record a run in real time"
        )
    order = np.argsort(received, kind="stable")  # The parts of a recording may be read in any order.
    times, angles = np.array(received)[order], np.array(positions)[order]
    spans = [_find_span(times, angles, result, episodes.get(result.stamp)) for result in results]
    return CommandStream(times, angles, tuple(span for span in spans if span is not None))


def _messages(reader: Bags, names: Sequence[str]) -> Iterator[tuple[str, BagMessage]]:
    """Yields the relative name of the topic, and the message, of some topics."""
    wanted = {each.topic: name for each in reader.channels for name in names if ends_with(each.topic, name)}
    for stored in reader.messages(wanted):
        yield wanted[stored.topic], stored


def _positions(message: Any, stored: BagMessage, *, is_trajectory: bool) -> np.ndarray:
    """Returns the commanded angles of the arm's joints, float64 [6].

    Raises:
        EpisodesError: where the command has another number of joints.
    """
    found = message.points[0].positions if is_trajectory and message.points else getattr(message, "cmd", ())
    positions = np.array(found, np.float64)
    if positions.shape != (len(aloha.ARM_JOINTS),):
        raise EpisodesError(
            f"a command must have {len(aloha.ARM_JOINTS)} joints, got {positions.size} on {stored.topic} in "
            f"{stored.file}; leave the recording out"
        )
    return positions


def _to_result(message: Any, stored: BagMessage, side: str) -> _Result:
    """Returns the part of a result that is kept.

    Raises:
        EpisodesError: where the commands are not of both arms, or the status is unknown.
    """
    if message.action_dim != aloha.ACTION_DIM or len(message.commanded) % aloha.ACTION_DIM:
        raise EpisodesError(
            f"a result must have {aloha.ACTION_DIM} numbers for each step, got {len(message.commanded)} numbers of "
            f"{message.action_dim} dimensions in {stored.file}; leave the recording out"
        )
    try:
        status = Status(message.status)
    except ValueError as error:
        raise EpisodesError(
            f"a result must have a known status, got {error} in {stored.file}; copy it again"
        ) from error
    arm = np.reshape(message.commanded, (-1, aloha.ACTION_DIM))[:, aloha.side_slice(side)]
    return _Result(stored.received / NANOSECONDS, stored.stamp(), status, arm[:, :-1])


def _find_span(
    received: np.ndarray, positions: np.ndarray, result: _Result, episode: tuple[str, int] | None
) -> PlayedSpan | None:
    """Returns the commands whose last ones are those of a result, or None where the recorder missed some of them."""
    commanded, newest = result.commanded, int(np.searchsorted(received, result.received))
    for last in range(min(newest + _NEAR, len(received)) - 1, max(newest - _NEAR, len(commanded) - 1) - 1, -1):
        first = last - len(commanded) + 1
        if np.allclose(positions[first : last + 1], commanded, rtol=0.0, atol=_SAME):
            return PlayedSpan(first, last, episode, result.status)
    return None
