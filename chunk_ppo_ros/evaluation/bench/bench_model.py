"""Measures the parts without ROS, which are acting, updating and checkpoints, with fresh parameters."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import shutil
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.config import PPOConfig, TrainConfig
from chunk_ppo_ros.core.types import ModelObservation, SampledChunk
from chunk_ppo_ros.core_jax.arrays import Params, PyTree
from chunk_ppo_ros.evaluation.bench.bench_inputs import ImageSize, random_observation, transition_of
from chunk_ppo_ros.evaluation.bench.measurement import WARM_UPS, Case, Figure, measure, milliseconds, rate_of
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.rl.losses import ppo_loss
from chunk_ppo_ros.rl.optimizer import make_optimizer
from chunk_ppo_ros.rl.rollout import RolloutBatch, stack_transitions
from chunk_ppo_ros.rl.targets import compute_targets
from chunk_ppo_ros.rl.update import PPOUpdate
from chunk_ppo_ros.rl.update_metrics import ScalarMetrics

GRADIENT_BATCHES = (8, 32)

Gradient: TypeAlias = Callable[[Params, RolloutBatch], PyTree]
"""Returns the loss of a minibatch with its metrics, and the gradients."""


class ModelBench:
    """Measures one configuration, and acting also with a second model that has larger images.

    Args:
        config: configuration to measure; its run section must name the folder of checkpoints.
        large_images: size of the images of the second model.
        runs: number of timed runs of each case.
    """

    def __init__(self, config: TrainConfig, large_images: ImageSize, *, runs: int) -> None:
        self._config = config
        self._large_images = large_images
        self._runs = runs
        self._random = np.random.default_rng()
        self._numbers = itertools.count()

    def act(self) -> list[Figure]:
        """Measures the time from observation to joint targets, log-probs and value, in one pass as in policy_node."""
        size = self._large_images
        model = dataclasses.replace(self._config.model, image_size=size.pixels, patch_size=size.patch)
        run = dataclasses.replace(
            self._config.run, exp_name="large_images", tokenizer_dir=str(self._learner.checkpoint.assets)
        )
        large = dataclasses.replace(self._config, model=model, run=run)
        large_actor = Actor(large, Learner.start(large).checkpoint, policy_version=0)
        sampled: dict[str, list[float]] = {}
        cases = [
            self._acting(config, actor, sampled)
            for config, actor in ((self._config, self._actor), (large, large_actor))
        ]
        figures = []
        for figure in measure("act", cases, runs=self._runs):
            tokens = tuple(sampled[figure.name][WARM_UPS:])
            figures += [figure, Figure("act", f"{figure.name}: tokens sampled", "tokens", tokens)]
        return figures

    def update(self) -> list[Figure]:
        """Measures whole updates, each on a newly sampled rollout, and gradients alone."""
        ppo, bundle = self._config.ppo, restore.load(self._learner.checkpoint, self._config)
        params = jax.tree.map(jnp.asarray, bundle.params)
        optimizer = make_optimizer(ppo)
        opt_state = optimizer.init(params)
        update = PPOUpdate(bundle.policy.evaluate, optimizer, ppo)

        def run(rollout: RolloutBatch) -> None:
            result = update.run(params, opt_state, rollout, key=jax.random.key(next(self._numbers)))
            jax.block_until_ready((result.params, result.opt_state))

        num_chunks = ppo.num_chunks_per_update
        name = f"PPO update: {num_chunks} chunks, {ppo.num_epochs_per_update} epochs, batch {ppo.batch_size}"
        whole = Case(name, "chunks/s", lambda: self._rollout(num_chunks), run, rate_of(num_chunks))
        gradient = _gradient(bundle.policy, ppo)
        cases = [whole, *(self._gradients(gradient, params, batch_size) for batch_size in GRADIENT_BATCHES)]
        return measure("update", cases, runs=self._runs)

    def checkpoint(self) -> list[Figure]:
        """Measures saving and loading as learner, actor and a resumed run do it. The files were written just before."""
        learner, actor = self._learner, self._actor
        resumed = dataclasses.replace(self._config, run=dataclasses.replace(self._config.run, resume=True))

        def load(_: object) -> None:
            # policy_node opens the folder of each new version, so this belongs to the time.
            actor.load(Checkpoint.open(learner.checkpoint.root), policy_version=0)

        return measure(
            "checkpoint",
            [
                Case(
                    "save: weights, optimizer, tokenizers, forced to the disk",
                    "ms",
                    lambda: shutil.rmtree(learner.checkpoint.root),
                    lambda _: learner.save(),
                    milliseconds,
                ),
                Case("load: new weights into an actor", "ms", lambda: None, load, milliseconds),
                Case("resume: everything into a learner", "ms", lambda: resumed, Learner.start, milliseconds),
            ],
            runs=self._runs,
        )

    @functools.cached_property
    def _learner(self) -> Learner:
        return Learner.start(self._config)

    @functools.cached_property
    def _actor(self) -> Actor:
        return Actor(self._config, self._learner.checkpoint, policy_version=0)

    def _acting(self, config: TrainConfig, actor: Actor, sampled: dict[str, list[float]]) -> Case[ModelObservation]:
        model = config.model
        num_image_tokens = len(model.cameras) * (model.image_size // model.patch_size) ** 2
        name = (
            f"chunk, {len(model.cameras)} cameras at {model.image_size}/{model.patch_size} = {num_image_tokens} tokens"
        )

        def work(observation: ModelObservation) -> None:
            chunk = actor.act(observation, sequence_number=next(self._numbers))
            sampled.setdefault(name, []).append(float(np.sum(chunk.token_mask)))

        return Case(name, "ms", lambda: actor.observe(random_observation(model, self._random)), work, milliseconds)

    def _gradients(self, gradient: Gradient, params: Params, batch_size: int) -> Case[RolloutBatch]:
        def work(rollout: RolloutBatch) -> None:
            jax.block_until_ready(gradient(params, rollout))

        name = f"gradients, batch {batch_size}"
        return Case(name, "samples/s", lambda: jax.device_put(self._rollout(batch_size)), work, rate_of(batch_size))

    def _rollout(self, num_chunks: int) -> RolloutBatch:
        """Returns newly sampled chunks with random rewards."""
        transitions = []
        for number in range(num_chunks):
            transitions.append(transition_of(self._sample(), number, self._random))
        return stack_transitions(transitions)

    def _sample(self) -> SampledChunk:
        observation = self._actor.observe(random_observation(self._config.model, self._random))
        return self._actor.act(observation, sequence_number=next(self._numbers))


def _gradient(policy: Pi0FASTActorCritic, config: PPOConfig) -> Gradient:
    """Returns a function for loss and gradients of all parameters on a minibatch. Each batch size compiles once."""

    def loss(params: Params, batch: RolloutBatch) -> tuple[jax.Array, ScalarMetrics]:
        targets, _ = compute_targets(batch, config)
        scores = policy.evaluate(
            params, batch.observation, batch.action_tokens, batch.token_mask, temperature=batch.temperature
        )
        return ppo_loss(scores, targets.loss_inputs(batch), config=config)

    return jax.jit(jax.value_and_grad(loss, has_aux=True))
