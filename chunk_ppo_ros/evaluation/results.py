"""Holds the results of an evaluation, over all episodes and for each prompt, as texts and as metrics."""

from __future__ import annotations

import dataclasses
import json

import numpy as np

from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.evaluation.statistics import mean_interval, success_interval


@dataclasses.dataclass(frozen=True)
class EvaluationSummary:
    """The figures of an evaluation over all episodes, with 95 % intervals.

    Attributes:
        episodes: the number of measured episodes.
        success_mean: the share of episodes in which the task was solved, 0..1.
        success_low: the lower end of its interval.
        success_high: the upper end of its interval.
        reward_mean: the mean reward of an episode.
        reward_low: the lower end of its interval.
        reward_high: the upper end of its interval.
        invalid_fraction: the share of chunks whose tokens stood for no actions, 0..1.
    """

    episodes: int
    success_mean: float
    success_low: float
    success_high: float
    reward_mean: float
    reward_low: float
    reward_high: float
    invalid_fraction: float

    def __str__(self) -> str:
        return (
            f"success {self.success_mean:.1%} [{self.success_low:.1%}, {self.success_high:.1%}], mean reward "
            f"{self.reward_mean:.3f} [{self.reward_low:.3f}, {self.reward_high:.3f}] "
            f"over {count_of(self.episodes, 'episode')}"
        )


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """The results of a checkpoint. Arrays have one entry per episode, in the order of the starts.

    Attributes:
        checkpoint: folder of the measured checkpoint.
        decoding: "sample" (at the configured temperature) or "greedy".
        success: bool [episodes], whether the task was solved.
        reward: float [episodes], sum of the chunk rewards.
        invalid: int [episodes], number of chunks whose tokens stood for no actions, in which the robot held its pose.
        num_chunks: int [episodes], number of all chunks.
        prompts: the task of each episode in words where the run has several prompts; otherwise empty.
    """

    checkpoint: str
    decoding: str
    success: np.ndarray
    reward: np.ndarray
    invalid: np.ndarray
    num_chunks: np.ndarray
    prompts: tuple[str, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """The checkpoint and the way of decoding, as labels for the metrics file."""
        return {"evaluation/checkpoint": self.checkpoint, "evaluation/decoding": self.decoding}

    @property
    def summary(self) -> EvaluationSummary:
        """The figures over all episodes."""
        successes, episodes = int(self.success.sum()), len(self.success)
        success_low, success_high = success_interval(successes, episodes)
        reward_low, reward_high = mean_interval(self.reward)
        return EvaluationSummary(
            episodes=episodes,
            success_mean=successes / episodes,
            success_low=success_low,
            success_high=success_high,
            reward_mean=float(self.reward.mean()),
            reward_low=reward_low,
            reward_high=reward_high,
            invalid_fraction=float(self.invalid.sum() / self.num_chunks.sum()),
        )

    @property
    def by_prompt(self) -> dict[str, EvaluationSummary]:
        """The figures of each prompt where the run has several; otherwise empty."""
        return {prompt: self._of(prompt).summary for prompt in dict.fromkeys(self.prompts)}

    def _of(self, prompt: str) -> EvaluationResult:
        """Returns the results of the episodes that had a prompt."""
        rows = np.array([each == prompt for each in self.prompts])
        columns = (self.success, self.reward, self.invalid, self.num_chunks)
        return EvaluationResult(self.checkpoint, self.decoding, *(column[rows] for column in columns))

    def metrics(self) -> Metrics:
        """Returns the summary for the metrics file, over all episodes and for each prompt where there are several."""
        summary = self.summary
        whole = Metrics(
            {
                "evaluation/episodes": summary.episodes,
                "evaluation/success_mean": summary.success_mean,
                "evaluation/success_low": summary.success_low,
                "evaluation/success_high": summary.success_high,
                "evaluation/reward_mean": summary.reward_mean,
                "evaluation/reward_low": summary.reward_low,
                "evaluation/reward_high": summary.reward_high,
                "evaluation/invalid_fraction": summary.invalid_fraction,
            }
        )
        for prompt, of_prompt in self.by_prompt.items():
            whole |= Metrics(
                {
                    f"evaluation/episodes/{prompt}": of_prompt.episodes,
                    f"evaluation/success_mean/{prompt}": of_prompt.success_mean,
                    f"evaluation/success_low/{prompt}": of_prompt.success_low,
                    f"evaluation/success_high/{prompt}": of_prompt.success_high,
                    f"evaluation/reward_mean/{prompt}": of_prompt.reward_mean,
                    f"evaluation/reward_low/{prompt}": of_prompt.reward_low,
                    f"evaluation/reward_high/{prompt}": of_prompt.reward_high,
                }
            )
        return whole

    def to_json(self) -> str:
        """Returns the text of a file with the checkpoint, the way of decoding and the summary."""
        origin = {"checkpoint": self.checkpoint, "decoding": self.decoding}
        of_prompts = {prompt: dataclasses.asdict(summary) for prompt, summary in self.by_prompt.items()}
        apart = {"prompts": of_prompts} if of_prompts else {}
        return json.dumps({**origin, **dataclasses.asdict(self.summary), **apart}, indent=2) + "\n"

    def __str__(self) -> str:
        held = f", {self.invalid.sum()} of {self.num_chunks.sum()} chunks invalid" if self.invalid.any() else ""
        whole = f"{self.checkpoint}: {self.summary}, {self.decoding} decoding{held}, 95 % intervals"
        return "\n".join([whole, *(f"  '{prompt}': {summary}" for prompt, summary in self.by_prompt.items())])
