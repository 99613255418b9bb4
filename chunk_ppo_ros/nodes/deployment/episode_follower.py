"""Makes the record of an episode from the events that reward_node publishes."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence

from chunk_ppo_msgs import msg

from chunk_ppo_ros.evaluation.deployment.records import EpisodeRecord

_NAMES = ("NONE", "SUCCESS", "FAILURE", "DISCARDED", "TIME_LIMIT", "INTERRUPTED")
OUTCOMES = {getattr(msg.EpisodeEvent, name): name for name in _NAMES}
"""The name of each outcome of an EpisodeEvent."""


def utc_now() -> str:
    """Returns the time of the machine, ISO 8601 in UTC with seconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class EpisodeFollower:
    """Remembers when the running episode started, and makes its record when it has ended.

    Args:
        checkpoints: the folders of the deployed checkpoints.
        now: returns the time, ISO 8601.
    """

    def __init__(self, checkpoints: Sequence[str], *, now: Callable[[], str] = utc_now) -> None:
        self._checkpoints = tuple(checkpoints)
        self._now = now
        self._started: dict[int, str] = {}  # the time of the start of the running episode, by its number

    def started(self, episode: int) -> None:
        """Records that an episode starts now. reward_node publishes a start again where it was started anew."""
        self._started = {episode: self._started.get(episode, self._now())}

    @property
    def newest(self) -> int | None:
        """The number of the episode that started last, or None before any."""
        return next(iter(self._started), None)

    def ended(self, message: msg.EpisodeEvent, *, policy: int, version: int) -> EpisodeRecord:
        """Returns the record of an episode that ends now.

        Args:
            message: the event ENDED of the episode.
            policy: which checkpoint acted.
            version: the number under which it was announced.
        """
        return EpisodeRecord(
            episode=message.episode,
            policy=policy,
            checkpoint=self._checkpoints[policy],
            version=version,
            prompt=message.prompt,
            seed=message.seed,
            outcome=OUTCOMES[message.outcome],
            intervened=message.intervened,
            reward=message.total_reward,
            num_chunks=message.num_chunks,
            started=self._started.get(message.episode, ""),
            ended=self._now(),
            message=message.message,
        )
