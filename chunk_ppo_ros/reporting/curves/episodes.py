"""The episodes of a run: their curves, those of single prompts, and what is counted over all of them."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Self

from chunk_ppo_ros.reporting.curves.thinned import Points, ThinnedTable
from chunk_ppo_ros.reporting.metrics_file import Record

WINDOW = 32
"""The number of episodes in a running mean."""

PROMPT = "episode/prompt"
"""The label of an episode's record that says its prompt. It is there where the run has several."""

MEAN = "mean of "
"""What the name of a metric begins with in `Episodes.curves` where its running mean is meant."""

SUCCESS, REWARD, LENGTH = "episode/success", "episode/total_reward", "episode/num_chunks"
_DRAWN = (SUCCESS, REWARD)


class Episodes:
    """Takes the records of the episodes of a run, in order.

    Args:
        count: number of records that will come.
        prompts: numbers of records that will come with each prompt; none where the run has one prompt.

    Attributes:
        curves: success and reward of the episodes and their running means, over the chunks of the episodes.
        first: success and reward of the first episodes, up to `WINDOW` and at most half of them.
        last: those of the last episodes.
        all: those of all episodes.
        lengths: how many of the first and of the last quarter of the episodes had each number of chunks.
        by_prompt: the episodes of each prompt, in the order in which they came; empty where the run has one prompt.
    """

    def __init__(self, count: int, prompts: Mapping[str, int] | None = None) -> None:
        self._count = count
        self.part = max(1, min(WINDOW, count // 2))
        self.curves = ThinnedTable(count)
        self.first, self.last, self.all = Totals(), Totals(), Totals()
        self.lengths: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        self.by_prompt: dict[str, Episodes] = {prompt: Episodes(number) for prompt, number in (prompts or {}).items()}
        self._means = {name: _RunningMean() for name in _DRAWN}
        self._num_chunks = 0.0

    @classmethod
    def of(cls, records: Iterable[Record]) -> Self:
        """Returns the episodes of records that are in memory."""
        listed = list(records)
        episodes = cls(len(listed), Counter(record[PROMPT] for record in listed if PROMPT in record))
        for record in listed:
            episodes.add(record)
        return episodes

    def add(self, record: Record) -> None:
        """Takes the next record."""
        self._num_chunks += record[LENGTH]
        self._add(record, self._num_chunks)
        if record.get(PROMPT) in self.by_prompt:
            self.by_prompt[record[PROMPT]]._add(record, self._num_chunks)

    def _add(self, record: Record, num_chunks: float) -> None:
        place = len(self)
        numbers = {name: _number(record, name) for name in _DRAWN}
        means = {MEAN + name: mean.after(numbers[name]) for name, mean in self._means.items()}
        # Means over only a few episodes are too noisy to draw.
        drawn = place >= min(WINDOW, self._count) // 2
        self.curves.add(num_chunks, {**numbers, **(means if drawn else {})})
        in_parts = ((self.all, True), (self.first, place < self.part), (self.last, place >= self._count - self.part))
        for totals, is_in in in_parts:
            if is_in:
                totals.add(numbers[SUCCESS], numbers[REWARD])
        quarter = max(1, self._count // 4)
        for lengths, is_in in zip(self.lengths, (place < quarter, place >= self._count - quarter), strict=True):
            if is_in:
                lengths[int(record[LENGTH])] += 1

    def __len__(self) -> int:
        """Returns the number of episodes."""
        return len(self.curves)

    def mean(self, name: str) -> Points:
        """Returns the running mean of a metric. Means over only a few episodes are left out."""
        x, y = self.curves.line(MEAN + name)
        start = 0
        while start < len(y) and math.isnan(y[start]):
            start += 1
        return x[start:], y[start:]


class Totals:
    """Sums over some episodes."""

    def __init__(self) -> None:
        self._count, self._solved, self._reward = 0, 0.0, 0.0

    def add(self, success: float, reward: float) -> None:
        """Takes an episode."""
        self._count += 1
        self._solved += success
        self._reward += reward

    @property
    def solved(self) -> float:
        """The share of episodes that were solved; at least one must have been taken."""
        return self._solved / self._count

    @property
    def reward(self) -> float:
        """The mean reward of an episode; NaN where one was not finite."""
        return self._reward / self._count


class _RunningMean:
    """The mean of the newest `WINDOW` numbers. Numbers that are not finite are left out."""

    def __init__(self) -> None:
        self._newest: deque[float] = deque()
        self._sum, self._num_finite = 0.0, 0

    def after(self, value: float) -> float:
        self._newest.append(value)
        self._count(value, 1)
        if len(self._newest) > WINDOW:
            self._count(self._newest.popleft(), -1)
        return self._sum / self._num_finite if self._num_finite else math.nan

    def _count(self, value: float, sign: int) -> None:
        if math.isfinite(value):
            self._sum += sign * value
            self._num_finite += sign


def _number(record: Record, name: str) -> float:
    value = record.get(name)
    return math.nan if value is None else float(value)
