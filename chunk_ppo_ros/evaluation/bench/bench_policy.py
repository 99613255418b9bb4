"""A policy of any size whose chunks have a fixed number of tokens, with inputs for acting and training.

The parameters are fresh. The action vocabulary is made up. Each of its tokens stands for one coefficient, so that every
chunk has as many tokens as coefficients. The decoding constraint works as usual. The images are noise.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import NoReturn

import jax
import numpy as np

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, PPOConfig
from chunk_ppo_ros.core.types import ModelObservation, SampledChunk
from chunk_ppo_ros.core_jax.arrays import AnyArray
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR
from chunk_ppo_ros.evaluation.bench import flops
from chunk_ppo_ros.evaluation.bench.bench_inputs import random_chunk, transition_of
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.backbone.freezing import FrozenTowers
from chunk_ppo_ros.model.outputs import Sample
from chunk_ppo_ros.model.tokenization.automaton import FastConstraint
from chunk_ppo_ros.model.tokenization.token_ids import FORCED_TAIL, NUM_SKIPPED, TokenIds
from chunk_ppo_ros.rl.gradient_step import GradientStep, TrainState, committed
from chunk_ppo_ros.rl.optimizer import make_optimizer
from chunk_ppo_ros.rl.rollout import RolloutBatch, stack_transitions
from chunk_ppo_ros.rl.targets import Targets, compute_targets

ACTION_DIM = 2
_ACTION_PREFIX = (5, 6)  # PaliGemma's tokenizer also makes two forced tokens of "Action: ".
_NUM_FAST = 2048  # The published tokenizer has as many.
_ROBOT_DIM = 14  # Dimensions of the states in the inputs. No parameter depends on it.


def with_tokens(model: Pi0FASTActorCriticConfig, num_tokens: int, *, prompt_len: int) -> Pi0FASTActorCriticConfig:
    """Returns the model with chunks of exactly `num_tokens` FAST tokens, an even number, and `prompt_len` slots."""
    return dataclasses.replace(
        model,
        action_dim=ACTION_DIM,
        action_horizon=num_tokens // ACTION_DIM,
        max_action_tokens=num_tokens + FORCED_TAIL,
        max_token_len=prompt_len + num_tokens + FORCED_TAIL,
    )


class BenchPolicy:
    """A policy with fresh parameters, and the inputs that it is measured with.

    Args:
        model: sizes of the model; `action_horizon * action_dim` is the number of tokens in a chunk.
    """

    def __init__(self, model: Pi0FASTActorCriticConfig) -> None:
        self.model = model
        self.policy = _make_policy(model)
        # Parameters are committed to the device, as they are after a step, so that the next step compiles nothing.
        self.params = committed(self.policy.init(key=jax.random.key(0)))
        self._sample = jax.jit(self.policy.sample_actions)
        self._embed = jax.jit(self.policy.embed_observation)
        self._random = np.random.default_rng(0)
        self._numbers = itertools.count()

    def sample(self, observation: ModelObservation) -> Sample:
        """Returns a chunk for each row, with log-probs and values, after the device has computed it."""
        key = jax.random.key(next(self._numbers))
        return jax.block_until_ready(self._sample(self.params, observation, key=key, temperature=1.0))

    def observations(self, batch: int) -> ModelObservation:
        """Returns noise from all cameras and full prompts, on the device."""
        observations = [self._random_chunk().observation for _ in range(batch)]
        return jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *observations))

    def rollout(self, batch: int) -> RolloutBatch:
        """Returns chunks that the policy samples, with random rewards, on the device."""
        observations = self.observations(batch)
        sample, seen = jax.device_get((self.sample(observations), observations))
        chunks = [
            dataclasses.replace(
                self._random_chunk(),
                observation=jax.tree.map(lambda leaf, row=row: leaf[row], seen),
                action_tokens=sample.action_tokens[row],
                token_mask=sample.token_mask[row],
                token_log_probs=sample.token_log_probs[row],
                value=float(sample.value[row]),
            )
            for row in range(batch)
        ]
        return jax.device_put(stack_transitions([transition_of(c, n, self._random) for n, c in enumerate(chunks)]))

    def _random_chunk(self) -> SampledChunk:
        return random_chunk(dataclasses.replace(self.model, action_dim=_ROBOT_DIM), self._random)

    def step_flops(self, batch: int, **products: int) -> int:
        """Returns the FLOPs of a gradient step on `batch` chunks. `flops.gradient_flops` explains `products`."""
        scored = self.model.action_horizon * self.model.action_dim
        return batch * flops.gradient_flops(
            self.model,
            slots=self.policy.prefix_slots + scored - 1,
            scored=scored,
            classes=self.policy.token_ids.num_fast,
            **products,
        )

    def stepper(self, ppo: PPOConfig) -> Callable[[RolloutBatch], None]:
        """Returns a function that makes a gradient step on `params` each time: forward, backward, clipping, Adam.

        The configuration says which towers are frozen. With a frozen image tower the images of the rollout must be
        embedded before (`embedded`). As in training, a step overwrites the memory of the old parameters.
        """
        optimizer = make_optimizer(ppo)
        trained = FrozenTowers.of(ppo).trained_leaves(self.params[ACTOR])
        step = GradientStep(self.policy.evaluate, optimizer, ppo, trained=trained)
        opt_state = optimizer.init(self.params, trained=trained)
        states = [step.begin(self.params, opt_state, policy_frozen=False, reload=_never)]
        targets_of = jax.jit(lambda rollout: compute_targets(rollout, ppo)[0])

        def work(rollout: RolloutBatch) -> None:
            targets: Targets = targets_of(rollout)
            state, metrics = step(states.pop(), rollout, targets, np.arange(len(rollout.rewards)))
            states.append(_finished(state, metrics.finite))
            self.params = state.params

        return work

    def embedded(self, rollout: RolloutBatch) -> RolloutBatch:
        """Returns the rollout with its images embedded, as an update reads it where the image tower is frozen."""
        observation = self._embed(self.params, rollout.observation)
        return dataclasses.replace(rollout, observation=jax.block_until_ready(observation))


def _never() -> NoReturn:
    """Stands for loading the parameters again, because the bench undoes no step."""
    raise RuntimeError("a bench must not undo its steps; report this")


def _finished(state: TrainState, finite: AnyArray) -> TrainState:
    jax.block_until_ready((state.trained, state.opt_state))
    if not finite:
        raise RuntimeError("the measured gradient step must be finite, got a value that is not; its time says nothing")
    return state


def _make_policy(model: Pi0FASTActorCriticConfig) -> Pi0FASTActorCritic:
    """Returns a policy in which each FAST token stands for one coefficient."""
    num_fast = min(_NUM_FAST, model.vocab_size - NUM_SKIPPED - 16)
    token_ids = TokenIds(
        vocab_size=model.vocab_size, num_fast=num_fast, skip=NUM_SKIPPED, action_prefix=_ACTION_PREFIX, bar=7, end=1
    )
    constraint = FastConstraint.from_moves(
        np.ones((1, num_fast), np.int32),
        np.zeros((1, num_fast), np.int32),
        max_tokens=model.max_action_tokens - FORCED_TAIL,
        total=model.action_horizon * model.action_dim,
    )
    return Pi0FASTActorCritic(model, token_ids, constraint)
