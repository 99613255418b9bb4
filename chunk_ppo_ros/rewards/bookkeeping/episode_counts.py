"""Counts for each prompt how the episodes of a run ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from chunk_ppo_ros.rewards.episodes import Ending, EpisodeChange, Event


@dataclasses.dataclass(frozen=True)
class PromptCounts:
    """The ended episodes of one prompt. Each episode counts in one of the numbers, which EpisodeCounts.msg defines."""

    prompt: str
    num_success: int = 0
    num_failure: int = 0
    num_time_limit: int = 0
    num_intervened: int = 0
    num_discarded: int = 0
    num_interrupted: int = 0

    @property
    def num_by_policy(self) -> int:
        """The number of episodes that the policy brought to an end, and in which no human took over."""
        return self.num_success + self.num_failure + self.num_time_limit

    def with_one_more(self, name: str) -> PromptCounts:
        """Returns the counts with one more episode in the number of this name."""
        return dataclasses.replace(self, **{name: getattr(self, name) + 1})


_NUMBERS = {
    Ending.SUCCESS: "num_success",
    Ending.FAILURE: "num_failure",
    Ending.TIME_LIMIT: "num_time_limit",
    Ending.DISCARDED: "num_discarded",
    Ending.INTERRUPTED: "num_interrupted",
}
_CUT_SHORT = (Ending.DISCARDED, Ending.INTERRUPTED)
"""The endings of episodes that say nothing about the task."""


class EpisodeCounts:
    """Counts the ended episodes of a run.

    Args:
        counts: the counts so far.
    """

    def __init__(self, counts: Iterable[PromptCounts] = ()) -> None:
        self._counts = {each.prompt: each for each in counts}

    @property
    def by_prompt(self) -> tuple[PromptCounts, ...]:
        """The counts of each prompt, in the order in which the prompts came."""
        return tuple(self._counts.values())

    @property
    def num_counted(self) -> int:
        """The number of all episodes that were neither discarded nor interrupted."""
        return self.num_by_policy + sum(each.num_intervened for each in self._counts.values())

    @property
    def num_by_policy(self) -> int:
        """The number of all episodes that the policy brought to an end, and in which no human took over."""
        return sum(each.num_by_policy for each in self._counts.values())

    def add(self, change: EpisodeChange) -> bool:
        """Counts an episode that has ended, and returns whether the change was such an end.

        An episode without an outcome, which the end of training cut short, does not count.
        """
        if change.event is not Event.ENDED or change.ending is Ending.NONE:
            return False
        intervened = change.intervened and change.ending not in _CUT_SHORT
        name = "num_intervened" if intervened else _NUMBERS[change.ending]
        known = self._counts.get(change.prompt, PromptCounts(change.prompt))
        self._counts[change.prompt] = known.with_one_more(name)
        return True
