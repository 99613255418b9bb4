"""Chooses the chunks that filtered behavior cloning keeps, which are those of the good episodes of a round."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

from chunk_ppo_ros.core.types import Transition

Episode = list[Transition]


class EpisodeFilter:
    """Joins chunks to whole episodes and keeps the good ones. An episode may begin in one round and end in the next.

    Args:
        best_fraction: of the episodes that end in a round, keep this part with the highest returns (undiscounted sums
            of reward), at least one; 0 keeps the successful ones instead, however many they are.
    """

    def __init__(self, *, best_fraction: float = 0.0) -> None:
        if not 0.0 <= best_fraction <= 1.0:
            raise ValueError(f"best_fraction must be within 0..1, got {best_fraction}; 0 keeps the successful episodes")
        self._best_fraction = best_fraction
        self._open: Episode = []

    def add(self, transitions: Iterable[Transition]) -> list[Transition]:
        """Returns the chunks to keep, in order, of the episodes that end within `transitions`.

        Args:
            transitions: next transitions of the run, in order and without gaps in their episodes.
        """
        episodes = [
            list(chunks) for _, chunks in itertools.groupby([*self._open, *transitions], key=lambda t: t.id.episode)
        ]
        self._open = episodes.pop() if episodes and not _has_ended(episodes[-1]) else []
        return [transition for episode in self._chosen(episodes) for transition in episode]

    def _chosen(self, episodes: list[Episode]) -> list[Episode]:
        if not self._best_fraction or not episodes:
            return [episode for episode in episodes if episode[-1].outcome.success]
        number = math.ceil(self._best_fraction * len(episodes))
        worst_kept = sorted((_return(episode) for episode in episodes), reverse=True)[number - 1]
        return [episode for episode in episodes if _return(episode) >= worst_kept]


def _has_ended(episode: Episode) -> bool:
    return episode[-1].outcome.terminated or episode[-1].outcome.truncated


def _return(episode: Episode) -> float:
    return sum(transition.outcome.reward for transition in episode)
