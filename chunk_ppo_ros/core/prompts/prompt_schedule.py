"""Says which prompt an episode has, by the weights of `episode.prompts`. The graph and the script form both ask it."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence

from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.prompts.weighted_prompt import WeightedPrompt

BALANCED, RANDOM = "balanced", "random"
SAMPLINGS = (BALANCED, RANDOM)
"""The values of `episode.prompt_sampling`, which say how the prompt of an episode is chosen."""


class PromptSchedule:
    """Chooses the prompt of each episode. The same arguments always give the same prompt, also after a restart.

    Args:
        prompts: the prompts with their weights, at least one.
        sampling: "balanced" or "random".
        run_seed: `run.seed` of the configuration, from which random prompts are drawn.
    """

    def __init__(self, prompts: Sequence[WeightedPrompt], *, sampling: str, run_seed: int) -> None:
        self._texts = tuple(prompt.text for prompt in prompts)
        self._weights = tuple(prompt.weight for prompt in prompts)
        self._is_balanced = sampling == BALANCED
        self._run_seed = run_seed
        self._turns = take_turns(self._weights)
        self._balanced: list[int] = []  # the turns so far

    def prompt(self, *, episode: int, num_counted: int) -> str:
        """Returns the prompt of an episode.

        A balanced prompt depends on `num_counted` alone, so that a discarded episode, which does not count, is followed
        by one with the same prompt. A random prompt depends on the seed of the run and on `episode` alone.

        Args:
            episode: the number of the episode in its run.
            num_counted: the number of episodes of the run that have ended and were not discarded.
        """
        if not self._is_balanced:
            return self._texts[self._draw(episode)]
        missing = num_counted + 1 - len(self._balanced)
        self._balanced.extend(itertools.islice(self._turns, max(0, missing)))
        return self._texts[self._balanced[num_counted]]

    def _draw(self, episode: int) -> int:
        bounds = list(itertools.accumulate(self._weights))
        seed = seeds.episode_seed(seeds.PROMPT, run_seed=self._run_seed, episode=episode)
        return min(bisect.bisect(bounds, seed / 2**63 * bounds[-1]), len(bounds) - 1)


def take_turns(weights: Sequence[float]) -> Iterator[int]:
    """Yields without end the number of who has the next turn, so that each has turns in proportion to its weight.

    The turn goes to the one that is the farthest behind its share, and of several such to the first. So after n turns
    each has fewer than 1 turn more than its share n * weight / sum(weights). Where the weights are whole numbers, each
    has exactly its weight of turns after sum(weights) turns.

    Args:
        weights: weights above 0, at least one.
    """
    total, counts = sum(weights), [0] * len(weights)
    for turn in itertools.count(1):
        behind = [weight * turn - count * total for weight, count in zip(weights, counts, strict=True)]
        chosen = behind.index(max(behind))
        counts[chosen] += 1
        yield chosen
