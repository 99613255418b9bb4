"""Sums the step rewards of the task over a chunk. It does not know the time limit of an episode."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable

from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.interface import StepReward, TaskJudgment

MAX_STEPS = 65_536
"""The number of steps that are kept until the result of their chunk is known."""


class ChunkReward(TaskJudgment):
    """Holds the judgment of the task on one chunk, whose terms are summed over the executed steps."""


@dataclasses.dataclass(frozen=True)
class _TimedStep:
    """One step and when it ended, ns."""

    end: int
    reward: StepReward


class ChunkRewards:
    """Adds up the steps from the first command of a chunk to its result. No step counts after an end state.

    The next chunk may begin before the result of this one is known. Its steps are kept for it then.
    """

    def __init__(self) -> None:
        self._running = False
        self._steps: collections.deque[_TimedStep] = collections.deque(maxlen=MAX_STEPS)

    @property
    def is_running(self) -> bool:
        """Whether steps count now, because something was commanded since the last chunk ended."""
        return self._running

    def reset(self) -> None:
        """Begins an episode."""
        self._running = False
        self._steps.clear()

    def begin(self) -> None:
        """Counts the steps from now on. It does nothing within a chunk."""
        self._running = True

    def add(self, step: StepReward, *, end: int = 0) -> None:
        """Adds a step, if steps count now.

        Args:
            step: the rewards of the step.
            end: the time at which the step ended, ns; 0 where no chunk begins before the one before is finished.
        """
        if self._running:
            self._steps.append(_TimedStep(end, step))

    def finish(self, *, until: int | None = None) -> ChunkReward:
        """Ends the chunk, and returns the sum of its steps.

        Args:
            until: the time at which the last step of the chunk ended, ns. Later steps are those of the next chunk,
                unless there are no others, as where the clocks of two machines differ. None is the time of the last
                step.
        """
        if until is not None and self._steps and self._steps[0].end > until:
            until = None
        steps = []
        while self._steps and (until is None or self._steps[0].end <= until):
            steps.append(self._steps.popleft().reward)
        self._running = bool(self._steps)
        return _sum(steps)


def _sum(steps: Iterable[StepReward]) -> ChunkReward:
    """Returns the sum of the steps until the first that is an end state."""
    terms: dict[str, RewardTerm] = {}
    terminated = success = False
    for step in steps:
        for term in step.terms:
            known = terms.get(term.name, RewardTerm(term.name, 0.0, term.weight))
            terms[term.name] = dataclasses.replace(known, value=known.value + term.value)
        terminated, success = step.terminated, success or step.success
        if terminated:
            break
    return ChunkReward(tuple(terms.values()), terminated=terminated, success=success)
