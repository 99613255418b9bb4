"""Chunk PPO as a method of experiments, in one process that hands the learner's weights to the actors directly."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.env import ChunkEnv
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.rollout_worker import EpisodeSummary, RolloutWorker
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.model.checkpoints.step_folders import newest_checkpoint
from chunk_ppo_ros.reporting.run_metrics import time_metrics


class ChunkPPO:
    """Runs the loop of the script form (`agent/train.py`), but writes no checkpoint after each update.

    See `methods.Method`.
    """

    def __init__(self, config: TrainConfig, env: ChunkEnv, *, greedy: bool) -> None:
        self._num_chunks = config.ppo.num_chunks_per_update
        self._learner = Learner.start(config)
        version, checkpoint = self._learner.policy_version, self._learner.checkpoint
        self._actor = Actor(config, checkpoint, policy_version=version)
        self._evaluated = Actor(config, checkpoint, policy_version=version, greedy=greedy)
        self._worker = RolloutWorker(
            self._actor,
            env,
            config=config,
            run_id=self._learner.run_id,
            sequence_number=self._learner.counters.next_sequence_number,
            episode=self._learner.counters.next_episode,
        )

    @property
    def run_id(self) -> str:
        return self._learner.run_id

    @property
    def counters(self) -> Counters:
        return self._learner.counters

    @property
    def policy(self) -> Actor:
        self._evaluated.take(self._learner.params, policy_version=self._learner.policy_version)
        return self._evaluated

    def update(self) -> tuple[Metrics, Sequence[EpisodeSummary]]:
        started = time.monotonic()
        transitions, episodes = self._worker.collect(self._num_chunks)
        collected = time.monotonic()
        metrics = self._learner.update(transitions)
        self._actor.take(self._learner.params, policy_version=self._learner.policy_version)
        times = time_metrics(rollout=collected - started, update=time.monotonic() - collected)
        return metrics | times, episodes

    def save(self) -> None:
        self._learner.save()


def begin(config: TrainConfig, env: ChunkEnv, *, greedy: bool, options: Mapping[str, float]) -> ChunkPPO:
    """Starts or resumes the method as `methods.begin` says.

    Raises:
        ValueError: when there are options, because the configuration has all settings.
    """
    if options:
        raise ValueError(f"chunk_ppo must have no options, got {dict(options)}; its settings are the configuration's")
    resume = newest_checkpoint(config.run.checkpoint_folder) is not None
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, resume=resume))
    return ChunkPPO(config, env, greedy=greedy)
