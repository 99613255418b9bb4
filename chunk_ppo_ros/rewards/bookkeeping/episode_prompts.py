"""Says which prompt the next episode has, by how the episodes before have ended."""

from __future__ import annotations

from chunk_ppo_ros.config.deploy import DeployConfig
from chunk_ppo_ros.core.prompts.prompt_schedule import PromptSchedule
from chunk_ppo_ros.rewards.bookkeeping.episode_counts import EpisodeCounts


class EpisodePrompts:
    """Asks the schedule for the prompts of a run, in training and where checkpoints act without a trainer.

    Where two checkpoints are compared, all episodes of a block have the same prompt, so that both act with each prompt
    equally often. In simulation a block is the two episodes of a start, whatever became of those before. On a robot it
    goes on until each of them counts, as the order of the checkpoints does.

    Args:
        schedule: the prompts of the run.
        deploy: the settings of a run without a trainer.
        has_starts: whether a simulator draws the starts.
    """

    def __init__(self, schedule: PromptSchedule, deploy: DeployConfig, *, has_starts: bool) -> None:
        self._schedule = schedule
        self._is_comparison = deploy.is_comparison
        self._has_starts = has_starts
        self._block_size = deploy.block_size(has_starts=has_starts)

    def prompt_of(self, episode: int, counts: EpisodeCounts) -> str:
        """Returns the task in words of an episode that begins.

        Args:
            episode: the number of the episode.
            counts: the episodes of the run that have ended.
        """
        if not self._is_comparison:
            return self._schedule.prompt(episode=episode, num_counted=counts.num_counted)
        block = (episode if self._has_starts else counts.num_by_policy) // self._block_size
        return self._schedule.prompt(episode=block, num_counted=block)
