"""Trains the actor to imitate demonstrated chunks, by behavior cloning: the batch, the loss and the gradient steps.

`clone_demonstrations.py` imitates the simulator's scripted demonstrations, and `clone_recorded.py` recorded episodes.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import SettingError, UserError
from chunk_ppo_ros.core.types import ModelObservation, Observation
from chunk_ppo_ros.core_jax.arrays import Params
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR
from chunk_ppo_ros.data.recorded_chunks import RecordedChunks
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.backbone.freezing import FrozenTowers
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from chunk_ppo_ros.reporting.progress import progress_bar
from chunk_ppo_ros.rl.partition import Partition
from chunk_ppo_ros.sim.experts.demonstrations import Demonstrations

_NO_IMAGES = np.zeros((0,), np.uint8)

CLONING_TEMPERATURE = 1.0
"""The temperature of the likelihood that imitation maximizes, whatever `model.temperature` is."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CloningBatch:
    """Demonstrated chunks as the model sees them.

    Attributes:
        observation: observations [N, ...]; the images may be a memory-mapped file (`RecordedChunks`).
        action_tokens: int32 [N, T], model token ids.
        token_mask: bool [N, T], true for tokens that are imitated.
    """

    observation: ModelObservation
    action_tokens: np.ndarray
    token_mask: np.ndarray

    def __len__(self) -> int:
        return len(self.action_tokens)

    def take(self, index: np.ndarray) -> CloningBatch:
        """Returns the rows of `index`, in memory."""
        return CloningBatch(
            jax.tree.map(lambda leaf: leaf[index], self.observation), self.action_tokens[index], self.token_mask[index]
        )


def tokenize(demonstrations: Demonstrations | RecordedChunks, tokenizer: PolicyTokenizer) -> CloningBatch:
    """Returns demonstrations as model inputs and target tokens, without a copy of the images.

    Raises:
        SettingError: when a chunk or its prompt does not fit the tokenizer or the model. It names number and episode.
    """
    prompts = demonstrations.prompts
    observations, tokens = [], []
    for row, episode in enumerate(demonstrations.episodes):
        state = demonstrations.state[row]
        blind = Observation(_NO_IMAGES, demonstrations.image_mask[row], state, prompts[episode])
        try:
            observations.append(tokenizer.observe(blind))
            tokens.append(tokenizer.encode_actions(demonstrations.actions[row], state))
        except ValueError as error:
            raise SettingError(f"chunk {row}, of episode {episode}: {error}") from error
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *observations)
    return CloningBatch(
        dataclasses.replace(stacked, images=demonstrations.images),
        np.stack([t.action_tokens for t in tokens]),
        np.stack([t.token_mask for t in tokens]),
    )


def cloning_loss(policy: Pi0FASTActorCritic, params: Params, batch: CloningBatch, *, temperature: float) -> jax.Array:
    """Returns the negative log-probability of the demonstrated chunks in nats, as a mean over all their tokens.

    Args:
        policy: the policy that scores the chunks.
        params: all parameters of the policy.
        batch: the demonstrated chunks, in which at least one token is imitated.
        temperature: temperature of the likelihood, > 0.
    """
    evaluation = policy.evaluate(
        params,
        batch.observation,
        jnp.asarray(batch.action_tokens),
        jnp.asarray(batch.token_mask),
        temperature=temperature,
    )
    return -jnp.sum(evaluation.token_log_probs) / jnp.sum(batch.token_mask)


def clone(
    policy: Pi0FASTActorCritic,
    params: Params,
    batch: CloningBatch,
    config: TrainConfig,
    *,
    on_step: Callable[[float], object] = lambda loss: None,
    on_params: Callable[[int, Params], object] = lambda step, params: None,
) -> Params:
    """Trains the actor by behavior cloning, which minimizes the negative log-probability of the demonstrated chunks.

    The likelihood is that of `policy.evaluate`, with the same positions, mask and constraint. Its temperature is 1, as
    in openpi. So a `model.temperature` below 1 samples chunks that differ less than the demonstrations do. The loss is
    the mean over tokens. The optimizer is AdamW with openpi's betas, warm-up and cosine decay. Parameters that PPO does
    not train (`ppo.freeze_image_tower`, `ppo.freeze_text_tower`, a decoder below its adapters) stay as they are here
    too.

    Args:
        policy: policy that learns.
        params: all parameters of the policy.
        batch: demonstrated chunks.
        config: configuration; `pretrain`, `ppo.freeze_*` and `run.seed` are read.
        on_step: function that is called with each step's loss, nats per token.
        on_params: function that is called after each step with its number, 1 .. bc_steps, and all parameters of the
            actor.

    Returns:
        The parameters with a trained actor and an unchanged value head.

    Raises:
        UserError: when no parameter is left to train.
    """
    settings = config.pretrain
    partition = _partition(params[ACTOR], config)
    warmup_steps = max(1, settings.bc_steps // 20)
    schedule = optax.warmup_cosine_decay_schedule(0.0, settings.bc_learning_rate, warmup_steps, settings.bc_steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b1=0.9, b2=0.95, weight_decay=1e-4))

    def loss_of(trained: Params, frozen: Params, minibatch: CloningBatch) -> jax.Array:
        joined = {**params, ACTOR: partition.join(trained, frozen)}
        return cloning_loss(policy, joined, minibatch, temperature=CLONING_TEMPERATURE)

    @jax.jit
    def step(
        trained: Params, frozen: Params, state: optax.OptState, minibatch: CloningBatch
    ) -> tuple[Params, optax.OptState, jax.Array]:
        loss, gradients = jax.value_and_grad(loss_of)(trained, frozen, minibatch)
        updates, state = optimizer.update(gradients, state, trained)
        return optax.apply_updates(trained, updates), state, loss

    trained, frozen = partition.split(params[ACTOR])
    state = optimizer.init(trained)
    random = np.random.default_rng(config.run.seed)
    for number in range(1, settings.bc_steps + 1):
        minibatch = batch.take(random.integers(len(batch), size=settings.bc_batch_size))
        trained, state, loss = step(trained, frozen, state, minibatch)
        on_step(float(loss))
        on_params(number, partition.join(trained, frozen))
    return {**params, ACTOR: partition.join(trained, frozen)}


def _partition(actor_backbone: Params, config: TrainConfig) -> Partition:
    """Returns the partition of the actor's parameters into those that imitation trains and the others."""
    trained = FrozenTowers.of(config.ppo).trained_leaves(actor_backbone)
    if not any(jax.tree.leaves(trained)):
        raise UserError(
            "imitation must have parameters to train, got both ppo.freeze_image_tower and ppo.freeze_text_tower; "
            "leave one of them out"
        )
    return Partition(trained)


@contextlib.contextmanager
def cloning_progress(num_steps: int) -> Iterator[Callable[[float], None]]:
    """Shows a progress bar over `num_steps` gradient steps.

    It yields a function that advances the bar by one step and takes the loss of that step, nats per token.
    """
    with progress_bar("behavior cloning", unit="step", total=num_steps, compiles=True) as bar:

        def on_step(loss: float) -> None:
            bar.note(f"nats_per_token={loss:.3f}")
            bar.update()

        yield on_step
