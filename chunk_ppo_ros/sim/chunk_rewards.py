"""Sums the step rewards of the task over a chunk. It does not know the time limit of an episode."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.interface import StepReward, TaskJudgment


class ChunkReward(TaskJudgment):
    """Holds the judgment of the task on one chunk, whose terms are summed over the executed steps."""


class ChunkRewards:
    """Adds up the steps from the first command of a chunk to its result. No step counts after an end state."""

    def __init__(self) -> None:
        self._running = False
        self._terms: dict[str, RewardTerm] = {}
        self._terminated = False
        self._success = False

    def reset(self) -> None:
        """Begins an episode."""
        self._running = False
        self._clear()

    def begin(self) -> None:
        """Counts the steps from now on. It does nothing within a chunk."""
        self._running = True

    def add(self, step: StepReward) -> None:
        """Adds a step, if steps count now."""
        if not self._running or self._terminated:
            return
        for term in step.terms:
            known = self._terms.get(term.name, RewardTerm(term.name, 0.0, term.weight))
            self._terms[term.name] = dataclasses.replace(known, value=known.value + term.value)
        self._terminated = step.terminated
        self._success = self._success or step.success

    def finish(self) -> ChunkReward:
        """Ends the chunk, and returns the sum of its steps."""
        reward = ChunkReward(tuple(self._terms.values()), terminated=self._terminated, success=self._success)
        self._running = False
        self._clear()
        return reward

    def _clear(self) -> None:
        self._terms = {}
        self._terminated = False
        self._success = False
