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

HOLE_GAP = 1000
"""The numbers that are left out after stored chunks were damaged, because the damaged ones may have had them."""


@dataclasses.dataclass(frozen=True)
class StoredRollout:
    """What an earlier process has stored.

    Attributes:
        progress: the progress from which the policy goes on.
        in_flight: the chunks that nobody has settled yet.
    """

    progress: RolloutProgress = dataclasses.field(default_factory=RolloutProgress)
    in_flight: tuple[InFlight, ...] = ()

    @classmethod
    def restore(cls, newest: RolloutProgress, in_flight: Iterable[InFlight], *, is_damaged: bool) -> StoredRollout:
        """Returns the state from which the policy goes on.

        Nothing is due after the newest chunk if it is settled. Damaged records may have held later chunks, so that
        numbers are left out after them, and the value after the newest chunk is sent.

        Args:
            newest: the newest progress that is readable.
            in_flight: the readable chunks that nobody has settled.
            is_damaged: whether records are missing.
        """
        chunks = tuple(in_flight)
        numbers = {chunk.sequence_number for chunk in chunks}
        progress = newest.in_episode(is_running=False)  # until an event says that it runs
        if progress.last is not None and progress.last.id.sequence_number not in numbers:
            progress = progress.without_last()
        number = max([progress.next_sequence_number, *(number + 1 for number in numbers)])
        if is_damaged:
            number, progress = number + HOLE_GAP, progress.leaving_out(HOLE_GAP).owing_bootstrap()
        return cls(dataclasses.replace(progress, next_sequence_number=number), chunks)


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
