"""The interface of a method that learns, and the methods by name."""

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
"""The module of each method, which has a function `begin(config, env, *, greedy, options) -> Method`."""


class Method(Protocol):
    """A method that acts in an environment and learns from it, one update at a time.

    `begin` resumes from the files of `save` where there are any. Otherwise it begins with the start checkpoint
    (`run.pretrained_checkpoint_path`).
    """

    @property
    def run_id(self) -> str:
        """The identity of the run, which a resumed run keeps."""

    @property
    def counters(self) -> Counters:
        """The progress of the run. A resumed run begins with the version that `save` wrote."""

    @property
    def policy(self) -> Acting[Any]:
        """The present policy, which decodes as evaluations need it."""

    def update(self) -> tuple[Metrics, Sequence[EpisodeSummary]]:
        """Makes one rollout of `ppo.num_chunks_per_update` chunks and one update.

        Returns:
            The metrics, with "time/rollout" and "time/update" in seconds, and the episodes that ended.
        """

    def save(self) -> None:
        """Writes the present version, so that a crash leaves a whole version or none."""


def begin(method: str, config: TrainConfig, env: ChunkEnv, *, greedy: bool, options: Mapping[str, float]) -> Method:
    """Returns the method of this name, at its start or resumed.

    Args:
        method: name of the method, a key of `METHODS`.
        config: configuration of the curve, with its folders.
        env: environment in which the method acts.
        greedy: whether `policy` takes the likeliest token.
        options: options of the method.
    """
    module: Any = importlib.import_module(METHODS[method])
    made: Method = module.begin(config, env, greedy=greedy, options=options)
    return made
