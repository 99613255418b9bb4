"""Filtered behavior cloning, which repeatedly collects a rollout and clones the tokens of its good episodes.

It is the simplest way to learn from rewards. It is a policy gradient whose advantage is 1 for chunks of good episodes
and 0 for all others, without ratio, clip or critic. Other names are filtered or percentile BC (Chen et al. 2021,
"Decision Transformer", section 5.1) and reward-weighted regression with a binary weight (Peters and Schaal 2007). It is
close to self-imitation (Oh et al. 2018). It clones the sampled tokens of all rounds so far, under the policy's own
likelihood.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import flax.serialization
import jax
import numpy as np

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.env import ChunkEnv
from chunk_ppo_ros.agent.rollout_worker import EpisodeSummary, RolloutWorker
from chunk_ppo_ros.agent.run_start.starting_checkpoint import open_pretrained
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.types import ModelObservation, Transition
from chunk_ppo_ros.imitation.behavior_cloning import CloningBatch, cloning_loss
from chunk_ppo_ros.reporting.run_metrics import time_metrics
from experiments.baselines import snapshot
from experiments.baselines.cloner import Cloner
from experiments.baselines.episode_filter import EpisodeFilter


@dataclasses.dataclass(frozen=True)
class FilteredBCOptions:
    """The options that the configuration does not have. `EpisodeFilter` explains `best_fraction`."""

    best_fraction: float = 0.0


class FilteredBC:
    """Filtered behavior cloning as a `methods.Method`.

    It reads these settings of `ppo`: num_chunks_per_update (a round), num_epochs_per_update, batch_size, learning_rate
    (constant) and max_grad_norm.
    """

    def __init__(self, config: TrainConfig, env: ChunkEnv, options: FilteredBCOptions, *, greedy: bool) -> None:
        self._config = config
        checkpoint = open_pretrained(config.run).require()
        bundle = restore.load(checkpoint, config)
        temperature = config.model.temperature

        def loss(params: Any, batch: CloningBatch) -> jax.Array:
            return cloning_loss(bundle.policy, params, batch, temperature=temperature)

        self.cloner = Cloner(loss, bundle.params, config=config.ppo, seed=config.run.seed)
        self.kept: CloningBatch | None = None
        self.counters = Counters(f"{config.run.exp_name}-filtered_bc")
        self._resume()
        self._actor = Actor(config, checkpoint, policy_version=0)
        self._evaluated = Actor(config, checkpoint, policy_version=0, greedy=True) if greedy else self._actor
        self._give_weights()
        self._filter = EpisodeFilter(best_fraction=options.best_fraction)
        self._worker = RolloutWorker(
            self._actor,
            env,
            config=config,
            run_id=self.run_id,
            sequence_number=self.counters.next_sequence_number,
            episode=self.counters.next_episode,
        )

    @property
    def run_id(self) -> str:
        """Identity of the run."""
        return self.counters.run_id

    @property
    def policy(self) -> Actor:
        """The present policy."""
        return self._evaluated

    def update(self) -> tuple[Metrics, Sequence[EpisodeSummary]]:
        """Makes one round, which samples chunks and then clones all kept chunks.

        Returns:
            What `methods.Method` says, and three metrics of its own: `cloning/new_chunks` (kept of this rollout),
            `cloning/chunks` (kept so far) and `cloning/nats_per_token` (the mean loss of this round's cloning).
        """
        began = time.monotonic()
        transitions, episodes = self._worker.collect(self._config.ppo.num_chunks_per_update)
        sampled = time.monotonic()
        kept = self._filter.add(transitions)
        if kept:
            self.kept = joined(self.kept, cloning_batch(kept))
        metrics = {"cloning/new_chunks": float(len(kept))}
        if self.kept is not None:
            metrics["cloning/chunks"] = float(len(self.kept))
            metrics["cloning/nats_per_token"] = self.cloner.clone(self.kept)
        self.counters = self.counters.after(transitions)
        self._give_weights()
        times = time_metrics(rollout=sampled - began, update=time.monotonic() - sampled)
        return Metrics(metrics) | times, episodes

    def save(self) -> None:
        """Writes the weights, the optimizer's moments and the kept chunks."""
        kept = {} if self.kept is None else {"kept": dataclasses.asdict(self.kept)}
        snapshot.write(self._config.run, self.counters, params=self.cloner.params, state=self.cloner.state, **kept)

    def _resume(self) -> None:
        found = snapshot.read(self._config.run)
        if found is None:
            return
        self.counters, trees = found
        self.cloner.params = flax.serialization.from_state_dict(self.cloner.params, trees["params"])
        self.cloner.state = flax.serialization.from_state_dict(self.cloner.state, trees["state"])
        if "kept" in trees:
            observation = ModelObservation(**trees["kept"].pop("observation"))
            self.kept = CloningBatch(observation, **trees["kept"])

    def _give_weights(self) -> None:
        for actor in (self._actor, self._evaluated):
            actor.take(self.cloner.params, policy_version=self.counters.policy_version)


def joined(first: CloningBatch | None, second: CloningBatch) -> CloningBatch:
    """Returns the chunks of both batches, in order."""
    return second if first is None else jax.tree.map(lambda *leaves: np.concatenate(leaves), first, second)


def cloning_batch(transitions: Sequence[Transition]) -> CloningBatch:
    """Returns the sampled chunks of `transitions`, at least one, as targets of cloning."""
    chunks = [transition.chunk for transition in transitions]
    return CloningBatch(
        jax.tree.map(lambda *leaves: np.stack(leaves), *(chunk.observation for chunk in chunks)),
        np.stack([chunk.action_tokens for chunk in chunks]),
        np.stack([chunk.token_mask for chunk in chunks]),
    )


def begin(config: TrainConfig, env: ChunkEnv, *, greedy: bool, options: Mapping[str, float]) -> FilteredBC:
    """Starts or resumes the method as `methods.begin` says."""
    return FilteredBC(config, env, FilteredBCOptions(**options), greedy=greedy)
