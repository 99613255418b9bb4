"""Decides which checkpoint acts in an episode of a deployment, which episodes count, and when there are enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.evaluation.deployment.records import EpisodeRecord


@dataclasses.dataclass(frozen=True)
class DeploymentPlan:
    """The plan of a deployment.

    A simulated start is drawn from the number of the episode, and two checkpoints act from each start. On a robot
    nobody can repeat a start exactly. There the order is by the episodes that count, so that the checkpoint acts again
    whose episode did not count.

    Attributes:
        num_policies: the number of deployed checkpoints, 1 or 2.
        num_episodes: the number of episodes that count which each of them gets, or 0 for no end.
        seed: `run.seed`, from which the order is drawn.
        has_starts: whether a simulator draws the starts.
        block_size: the number of episodes in which each of them acts equally often.
    """

    num_policies: int
    num_episodes: int
    seed: int
    has_starts: bool
    block_size: int = 1

    @classmethod
    def of(cls, config: TrainConfig) -> DeploymentPlan:
        """Returns the plan of a configuration."""
        deploy, has_starts = config.deploy, config.env.has_scene
        block = deploy.block_size(has_starts=has_starts)
        return cls(len(deploy.checkpoints), deploy.num_episodes, config.run.seed, has_starts, block)

    @property
    def is_paired(self) -> bool:
        """Whether two checkpoints act from the same starts."""
        return self.has_starts and self.num_policies > 1

    def policy_of(self, episode: int, records: Sequence[EpisodeRecord]) -> int:
        """Returns which checkpoint acts in an episode.

        Args:
            episode: the number of the episode.
            records: the episodes that have ended before.
        """
        if self.num_policies == 1:
            return 0
        position = episode if self.has_starts else sum(record.counts for record in records)
        copies = self.block_size // self.num_policies
        return seeds.random_order(self.seed, position=position, num_items=self.num_policies, copies=copies)

    def counted(self, records: Sequence[EpisodeRecord]) -> tuple[EpisodeRecord, ...]:
        """Returns the episodes that are in the result. Of paired episodes, both must count."""
        counted = tuple(record for record in records if record.counts)
        if not self.is_paired:
            return counted
        pairs = [(record.policy, record.seed) for record in counted]
        return tuple(record for record in counted if (1 - record.policy, record.seed) in pairs)

    def num_done(self, records: Sequence[EpisodeRecord]) -> int:
        """Returns the number of episodes in the result that each checkpoint has at least."""
        policies = [record.policy for record in self.counted(records)]
        return min(policies.count(policy) for policy in range(self.num_policies))

    def is_complete(self, records: Sequence[EpisodeRecord]) -> bool:
        """Returns whether each checkpoint has as many episodes as the run asks for."""
        return 0 < self.num_episodes <= self.num_done(records)
