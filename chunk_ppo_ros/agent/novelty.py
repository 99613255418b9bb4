"""Novelty rewards observations unlike those seen before, by random network distillation (Burda et al., 2018).

A network is trained to predict the outputs of another one, whose weights are random and never change. Observations that
were seen often are predicted well. The prediction error is the reward of the chunk that led to the observation. The
trainer measures it before the predictor learns from the rollout, and adds it to the other reward terms of the chunk.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import flax.serialization
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import ModelObservation, RewardTerm, Transition
from chunk_ppo_ros.core_jax.arrays import AnyArray, Params, Tree
from chunk_ppo_ros.rewards.term_names import NOVELTY
from chunk_ppo_ros.rewards.terms import with_term

FILE = "novelty.msgpack"
"""The name of the file with the state of novelty, in the `assets` of a checkpoint."""

IMAGE_SIDE = 16  # the side, in pixels, to which images are averaged
HIDDEN, EMBEDDING = 128, 64  # the widths of the hidden layers and of the output of both networks
LEARNING_RATE = 1e-3  # the learning rate of the predictor
GRADIENT_STEPS = 8
"""The number of gradient steps of the predictor for each rollout. Each step uses the whole rollout."""
MIN_DEVIATION = 0.02  # the least divisor of a feature, so that the noise of a pixel is not amplified
FEATURE_LIMIT = 5.0  # the limit of normalized features, in standard deviations (Burda et al., section 2.4)


@flax.struct.dataclass
class Moments:
    """Statistics of the F features of all observations so far.

    Attributes:
        count: float32 [], the number of observations.
        mean: float32 [F], the mean of each feature.
        deviation: float32 [F], the sum of squared deviations from the mean of each feature.
    """

    count: AnyArray
    mean: AnyArray
    deviation: AnyArray

    def add(self, features: jax.Array, known: jax.Array) -> Moments:
        """Returns the statistics with more observations added, by Chan, Golub and LeVeque (1979), equation 1.5.

        Args:
            features: [N, F], the features of N observations.
            known: [N], 1 for the observations to add and 0 for the others.
        """
        added = jnp.sum(known)
        mean = known @ features / jnp.maximum(added, 1.0)
        deviation = known @ jnp.square(features - mean)
        count = self.count + added
        share = added / jnp.maximum(count, 1.0)
        shift = mean - self.mean
        return Moments(
            count=count,
            mean=self.mean + share * shift,
            deviation=self.deviation + deviation + self.count * share * jnp.square(shift),
        )

    def whiten(self, features: jax.Array) -> jax.Array:
        """Returns features [N, F] normalized to mean 0 and standard deviation 1, and limited to +-FEATURE_LIMIT."""
        deviation = jnp.sqrt(self.deviation / jnp.maximum(self.count, 1.0))
        return jnp.clip((features - self.mean) / jnp.maximum(deviation, MIN_DEVIATION), -FEATURE_LIMIT, FEATURE_LIMIT)


@flax.struct.dataclass
class NoveltyState:
    """Everything about novelty that changes with training.

    Attributes:
        target: the network with random weights, which stay fixed.
        predictor: the network that learns to predict the outputs of `target`.
        opt_state: the optimizer state of the predictor.
        moments: the statistics that normalize the inputs of both networks.
        squared_errors: float32 [], the sum of squared errors so far, which scales the reward.
    """

    target: Params
    predictor: Params
    opt_state: Tree
    moments: Moments
    squared_errors: AnyArray


_OPTIMIZER = optax.adam(LEARNING_RATE)


class Novelty:
    """Computes the reward term `novelty` and keeps its state.

    Differs from Burda et al.: errors are divided by their own running root mean square instead of the deviation of
    their returns, so that the reward begins at about 1.
    """

    def __init__(self, config: TrainConfig) -> None:
        model = config.model
        num_features = len(model.cameras) * IMAGE_SIDE**2 * 3 + model.action_dim
        self._weight = config.reward.novelty_weight
        self.state = _init(num_features, seed=config.run.seed)

    def reward(self, transitions: Sequence[Transition]) -> tuple[list[Transition], NoveltyState]:
        """Returns the transitions with their term, by sender and number, and the state that has learned from them.

        The term is 0 for a chunk with no observation after it. This is so if the episode ended with the chunk, or if
        the next chunk was lost. The caller stores the new state when it has used the transitions.
        """
        ordered = sorted(transitions, key=lambda transition: transition.id.key)
        after = observations_after(ordered)
        known = np.array([observation is not None for observation in after], np.float32)
        blank = ordered[0].chunk.observation
        inputs = np.stack([features(observation if observation is not None else blank) for observation in after])
        values, state = _step(self.state, inputs, known)
        rewarded = [
            dataclasses.replace(
                transition, outcome=with_term(transition.outcome, RewardTerm(NOVELTY, float(value), self._weight))
            )
            for transition, value in zip(ordered, np.asarray(values), strict=True)
        ]
        return rewarded, state

    def save(self, folder: Path) -> None:
        """Writes the state into the assets of a checkpoint."""
        (folder / FILE).write_bytes(flax.serialization.to_bytes(jax.device_get(self.state)))

    def load(self, folder: Path) -> bool:
        """Reads the state from the assets of a checkpoint.

        Returns:
            Whether the checkpoint has a state. It has none if it was trained without novelty.
        """
        if not (folder / FILE).is_file():
            return False
        self.state = jax.tree.map(jnp.asarray, flax.serialization.from_bytes(self.state, (folder / FILE).read_bytes()))
        return True


def observations_after(ordered: Sequence[Transition]) -> list[ModelObservation | None]:
    """Returns the observation after each chunk, or None where there is none.

    It is the transition's own next observation, or else the observation that the next chunk was sampled from.
    """
    following = [
        later.chunk.observation if _follows(earlier, later) else None for earlier, later in itertools.pairwise(ordered)
    ]
    return [
        transition.next_observation if transition.next_observation is not None else observation
        for transition, observation in zip(ordered, [*following, None], strict=True)
    ]


def features(observation: ModelObservation) -> np.ndarray:
    """Returns the features of an observation, float32 [C * 16 * 16 * 3 + S].

    They are the images averaged to 16 x 16 pixels, with values within 0..1, and the state in rad.
    """
    _, height, width, _ = observation.images.shape
    small = observation.images / np.float32(255.0)
    for axis, size in ((1, height), (2, width)):
        starts = np.arange(IMAGE_SIDE) * size // IMAGE_SIDE
        lengths = np.maximum(np.diff([*starts, size]), 1).astype(np.float32)
        small = np.add.reduceat(small, starts, axis=axis) / np.expand_dims(lengths, [i for i in range(4) if i != axis])
    return np.concatenate([small.reshape(-1), observation.state]).astype(np.float32)


def _follows(earlier: Transition, later: Transition) -> bool:
    """Returns whether `later` is the next chunk of the same episode."""
    expected = (earlier.id.run_id, earlier.id.sender, earlier.id.episode, earlier.id.chunk + 1)
    found = (later.id.run_id, later.id.sender, later.id.episode, later.id.chunk)
    return not earlier.outcome.terminated and expected == found


def _init(num_features: int, *, seed: int) -> NoveltyState:
    random = np.random.default_rng(seed)
    target = _perceptron(random, num_features, HIDDEN, EMBEDDING)
    predictor = _perceptron(random, num_features, HIDDEN, HIDDEN, EMBEDDING)
    return NoveltyState(
        target=target,
        predictor=predictor,
        opt_state=_OPTIMIZER.init(predictor),
        moments=Moments(np.zeros((), np.float32), *np.zeros((2, num_features), np.float32)),
        squared_errors=np.zeros((), np.float32),
    )


def _perceptron(random: np.random.Generator, *sizes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns weights [I, O] and biases [O] of layers of these sizes.

    Weights are drawn from a normal distribution of variance 2 / I (He et al., 2015). Biases are 0.
    """
    return [
        (
            np.float32(np.sqrt(2.0 / inputs)) * random.standard_normal((inputs, outputs), np.float32),
            np.zeros(outputs, np.float32),
        )
        for inputs, outputs in itertools.pairwise(sizes)
    ]


def _embed(layers: Params, inputs: jax.Array) -> jax.Array:
    """Returns the outputs [N, E] of a network for inputs [N, F]."""
    *hidden, (weights, biases) = layers
    for each_weights, each_biases in hidden:
        inputs = jax.nn.relu(inputs @ each_weights + each_biases)
    return inputs @ weights + biases


@jax.jit
def _step(state: NoveltyState, inputs: jax.Array, known: jax.Array) -> tuple[jax.Array, NoveltyState]:
    """Returns the novelty [N] of inputs [N, F], and the state that has learned from those with `known` [N] of 1."""
    moments = state.moments.add(inputs, known)
    white = moments.whiten(inputs)
    outputs = _embed(state.target, white)

    def errors(predictor: Params) -> jax.Array:
        return known * jnp.mean(jnp.square(_embed(predictor, white) - outputs), axis=-1)

    def loss(predictor: Params) -> jax.Array:
        return jnp.sum(errors(predictor)) / jnp.maximum(jnp.sum(known), 1.0)

    def descend(_: int, carry: tuple[Params, Tree]) -> tuple[Params, Tree]:
        predictor, opt_state = carry
        updates, opt_state = _OPTIMIZER.update(jax.grad(loss)(predictor), opt_state, predictor)
        return optax.apply_updates(predictor, updates), opt_state

    before = errors(state.predictor)
    squared_errors = state.squared_errors + jnp.sum(jnp.square(before))
    scale = jnp.sqrt(squared_errors / jnp.maximum(moments.count, 1.0))
    predictor, opt_state = jax.lax.fori_loop(0, GRADIENT_STEPS, descend, (state.predictor, state.opt_state))
    learned = dataclasses.replace(
        state, predictor=predictor, opt_state=opt_state, moments=moments, squared_errors=squared_errors
    )
    return before / jnp.maximum(scale, 1e-8), learned
