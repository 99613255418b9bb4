"""What a curve needs of a way to learn, and the ways by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from chunk_ppo_ros.agent.env import ChunkEnv
from chunk_ppo_ros.agent.rollout_worker import EpisodeSummary
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.evaluation.evaluate import Acting

METHODS = {
    "chunk_ppo": "experiments.chunk_ppo",
    "filtered_bc": "experiments.baselines.filtered_bc",
    "gaussian_ppo": "experiments.baselines.gaussian_ppo",
}
"""Modules with a function `begin(config, env, *, greedy, options) -> Method`."""


class Method(Protocol):
    """Something that rolls out in an environment and learns from it, one update at a time.

    `begin` takes the start (`run.pretrained_checkpoint_path`), or goes on with what `save` wrote, where there is any.
    """

    @property
    def run_id(self) -> str:
        """Identity of the run; resuming keeps it."""

    @property
    def counters(self) -> Counters:
        """How far it has come; the version that `save` wrote is the one that resuming has."""

    @property
    def policy(self) -> Acting:
        """The present policy, decoding as evaluations want it."""

    def update(self) -> tuple[Metrics, Sequence[EpisodeSummary]]:
        """One rollout of `ppo.num_chunks_per_update` chunks and one update.

        Returns:
            Metrics, "time/rollout" and "time/update" in seconds among them, and the episodes that ended.
        """

    def save(self) -> None:
        """Keeps the present version on disk, whole or not at all."""


def begin(method: str, config: TrainConfig, env: ChunkEnv, *, greedy: bool, options: Mapping[str, float]) -> Method:
    """The method of this name, at its start or resumed.

    Args:
        method: a key of `METHODS`.
        config: of the curve, with its places.
        env: that it rolls out in.
        greedy: how `policy` decodes.
        options: of the method.
    """
    module: Any = importlib.import_module(METHODS[method])
    made: Method = module.begin(config, env, greedy=greedy, options=options)
    return made
