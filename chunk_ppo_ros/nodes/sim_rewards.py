"""Sums the step rewards of the task over a chunk, and counts the chunks of an episode."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.sim.simulator import StepReward
from chunk_ppo_ros.types import RewardTerm


@dataclasses.dataclass(frozen=True)
class ChunkReward:
    """What the task says about one chunk: summed terms, and how it ended."""

    terms: tuple[RewardTerm, ...]
    terminated: bool
    truncated: bool
    success: bool


class ChunkRewards:
    """Adds up steps from the first command of a chunk to its execution result; nothing counts after an end state."""

    def __init__(self, max_episode_chunks: int) -> None:
        self._max_episode_chunks = max_episode_chunks
        self._num_chunks = 0
        self._running = False
        self._terms: dict[str, RewardTerm] = {}
        self._terminated = False
        self._success = False

    def reset(self) -> None:
        """Begins an episode."""
        self._num_chunks = 0
        self._running = False
        self._clear()

    def begin(self) -> None:
        """Counts the steps from here on; does nothing within a chunk."""
        self._running = True

    def add(self, step: StepReward) -> None:
        """Adds a step, where one counts."""
        if not self._running or self._terminated:
            return
        for term in step.terms:
            known = self._terms.get(term.name, RewardTerm(term.name, 0.0, term.weight))
            self._terms[term.name] = dataclasses.replace(known, value=known.value + term.value)
        self._terminated = step.terminated
        self._success = self._success or step.success

    def finish(self, num_steps: int) -> ChunkReward:
        """Ends the chunk; one of which no step was executed does not count towards the time limit."""
        self._num_chunks += num_steps > 0
        reward = ChunkReward(
            terms=tuple(self._terms.values()),
            terminated=self._terminated,
            truncated=self._num_chunks >= self._max_episode_chunks and not self._terminated,
            success=self._success,
        )
        self._running = False
        self._clear()
        return reward

    def _clear(self) -> None:
        self._terms = {}
        self._terminated = False
        self._success = False
