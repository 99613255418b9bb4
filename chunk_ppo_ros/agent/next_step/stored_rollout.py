"""Defines what a new process of policy_node finds on disk, so that it goes on in the middle of an episode."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import cast

from chunk_ppo_ros.agent.next_step.episode_progress import EpisodeProgress, LastChunk
from chunk_ppo_ros.agent.next_step.rollout_fill import InFlight
from chunk_ppo_ros.agent.next_step.rollout_progress import RolloutProgress
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import ChunkId
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors

HOLE_GAP = 1000
"""The numbers that are left out after stored chunks were damaged, because the damaged ones may have had them."""


@dataclasses.dataclass(frozen=True, eq=False)
class OpenSegment:
    """A segment that a human drives, and that is not a chunk yet.

    Attributes:
        stamp: the ROS time of its start in ns, which identifies it.
        episode: its episode.
        readings: the sensor readings before it began.
    """

    stamp: int
    episode: int
    readings: SyncedSensors


@dataclasses.dataclass(frozen=True)
class StoredRollout:
    """What an earlier process has stored.

    Attributes:
        progress: the progress from which the policy goes on.
        in_flight: the chunks that nobody has settled yet.
        segments: the segments of the episode that are not chunks yet. robot_node repeats what was commanded in them.
    """

    progress: RolloutProgress = dataclasses.field(default_factory=RolloutProgress)
    in_flight: tuple[InFlight, ...] = ()
    segments: tuple[OpenSegment, ...] = ()

    @classmethod
    def restore(
        cls,
        newest: RolloutProgress,
        in_flight: Iterable[InFlight],
        *,
        is_damaged: bool,
        segments: Iterable[OpenSegment] = (),
    ) -> StoredRollout:
        """Returns the state from which the policy goes on.

        Nothing is due after the newest chunk if it is settled. Damaged records may have held later chunks, so that
        numbers are left out after them, and the value after the newest chunk is sent.

        Args:
            newest: the newest progress that is readable.
            in_flight: the readable chunks that nobody has settled.
            is_damaged: whether records are missing.
            segments: the segments that a human drove. Those that are chunks, or are of another episode, are left out.
        """
        chunks = tuple(in_flight)
        numbers = {chunk.sequence_number for chunk in chunks}
        progress = newest.in_episode(is_running=False)  # until an event says that it runs
        if progress.last is not None and progress.last.id.sequence_number not in numbers:
            progress = progress.without_last()
        number = max([progress.next_sequence_number, *(number + 1 for number in numbers)])
        if is_damaged:
            number, progress = number + HOLE_GAP, progress.leaving_out(HOLE_GAP).owing_bootstrap()
        episode, stamp = progress.episode.number, progress.stamp
        left = tuple(segment for segment in segments if segment.episode == episode and segment.stamp > stamp)
        return cls(dataclasses.replace(progress, next_sequence_number=number), chunks, left)


def encode_progress(progress: RolloutProgress) -> bytes:
    """Returns a progress as JSON."""
    return json.dumps(dataclasses.asdict(progress)).encode()


def decode_progress(content: bytes) -> RolloutProgress:
    """Returns the progress that `encode_progress` wrote.

    Raises:
        UserError: where another version of this package wrote it.
    """
    try:
        values = cast(dict[str, object], json.loads(content))
        episode = EpisodeProgress(**cast(dict[str, object], values.pop("episode")))  # type: ignore[arg-type]
        last = _decode_last(cast("dict[str, object] | None", values.pop("last")))
        return RolloutProgress(episode=episode, last=last, **values)  # type: ignore[arg-type]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"the stored progress of policy_node must have the fields of this version, got {content[:200]!r}; go on "
            "with the version of chunk_ppo_ros that wrote it, or move the folder store/policy of the run away"
        ) from error


def _decode_last(values: dict[str, object] | None) -> LastChunk | None:
    if values is None:
        return None
    id = ChunkId(**cast(dict[str, object], values.pop("id")))  # type: ignore[arg-type]
    return LastChunk(id=id, **values)  # type: ignore[arg-type]
