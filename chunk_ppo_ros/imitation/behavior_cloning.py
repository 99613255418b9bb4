"""Imitation: tokenizers and norm_stats fitted on demonstrations, and behaviour cloning of the actor.

Writes an openpi checkpoint (`params/` and `assets/`), from which training starts as from any published one. What is
imitated are the simulator's scripted demonstrations, or recorded episodes (`clone_recorded.py`).
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from chunk_ppo_ros.agent.run_start.tokenizer_fitting import fit
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import ModelObservation, Observation
from chunk_ppo_ros.data.recorded_chunks import RecordedChunks
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.backbone.freezing import trained_leaves
from chunk_ppo_ros.model.checkpoints.atomic_folder import check_is_free
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings
from chunk_ppo_ros.model.checkpoints.saving import save_openpi_checkpoint
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from chunk_ppo_ros.rl.partition import Partition
from chunk_ppo_ros.sim.experts.demonstrations import Demonstrations, collect_demonstrations

_NO_IMAGES = np.zeros((0,), np.uint8)

CLONING_TEMPERATURE = 1.0
"""Of the likelihood that imitation maximises, whatever `model.temperature` is."""


@dataclasses.dataclass(frozen=True)
class CloningBatch:
    """Demonstrated chunks as the model sees them: `observation` [N, ...], tokens int32 and bool [N, T].

    The images may be a mapped file (`RecordedChunks`); what `take` returns is in memory.
    """

    observation: ModelObservation
    action_tokens: np.ndarray
    token_mask: np.ndarray

    def __len__(self) -> int:
        return len(self.action_tokens)

    def take(self, index: np.ndarray) -> CloningBatch:
        """Returns the rows of `index`."""
        return CloningBatch(
            jax.tree.map(lambda leaf: leaf[index], self.observation), self.action_tokens[index], self.token_mask[index]
        )


def tokenize(demonstrations: Demonstrations | RecordedChunks, tokenizer: PolicyTokenizer) -> CloningBatch:
    """Demonstrations as model inputs and target tokens; the images are the demonstrations' own array.

    Raises:
        ValueError: where a chunk does not fit the tokenizer or the model; the text names its number and episode.
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
            raise ValueError(f"chunk {row}, of episode {episode}: {error}") from error
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *observations)
    return CloningBatch(
        dataclasses.replace(stacked, images=demonstrations.images),
        np.stack([t.action_tokens for t in tokens]),
        np.stack([t.token_mask for t in tokens]),
    )


def cloning_loss(policy: Pi0FASTActorCritic, params: Any, batch: CloningBatch, *, temperature: float) -> jax.Array:
    """Negative log-probability of the demonstrated chunks in nats, mean over all their tokens."""
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
    params: Any,
    batch: CloningBatch,
    config: TrainConfig,
    *,
    on_step: Callable[[float], object] = lambda loss: None,
    on_params: Callable[[int, Any], object] = lambda step, params: None,
) -> Any:
    """Behaviour cloning: minimises the negative log-probability of the demonstrated chunks.

    The likelihood is the policy's own (`evaluate`: same positions, mask and constraint) at temperature 1, as in openpi,
    so that a `model.temperature` below 1 samples more sharply than the demonstrations were spread. Minimises the mean
    over tokens; AdamW with openpi's betas, warm-up and cosine decay. What is frozen in PPO (`ppo.freeze_image_tower`,
    `ppo.freeze_text_tower`, a decoder below its adapters) is frozen here.

    Args:
        policy: what learns.
        params: all of its parameters.
        batch: the demonstrated chunks.
        config: `pretrain`, `ppo.freeze_*` and `run.seed`.
        on_step: called with each step's loss, nats a token.
        on_params: called after each step with its number, 1 .. bc_steps, and all parameters of the actor.

    Returns:
        The trained parameters; the value head is left as it was.

    Raises:
        UserError: when everything is frozen.
    """
    settings = config.pretrain
    partition = _partition(params["actor_backbone"], config)
    warmup_steps = max(1, settings.bc_steps // 20)
    schedule = optax.warmup_cosine_decay_schedule(0.0, settings.bc_learning_rate, warmup_steps, settings.bc_steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b1=0.9, b2=0.95, weight_decay=1e-4))

    def loss_of(trained: Any, frozen: Any, minibatch: CloningBatch) -> jax.Array:
        joined = {**params, "actor_backbone": partition.join(trained, frozen)}
        return cloning_loss(policy, joined, minibatch, temperature=CLONING_TEMPERATURE)

    @jax.jit
    def step(trained: Any, frozen: Any, state: Any, minibatch: CloningBatch) -> tuple[Any, Any, jax.Array]:
        loss, gradients = jax.value_and_grad(loss_of)(trained, frozen, minibatch)
        updates, state = optimizer.update(gradients, state, trained)
        return optax.apply_updates(trained, updates), state, loss

    trained, frozen = partition.split(params["actor_backbone"])
    state = optimizer.init(trained)
    random = np.random.default_rng(config.run.seed)
    for number in range(1, settings.bc_steps + 1):
        minibatch = batch.take(random.integers(len(batch), size=settings.bc_batch_size))
        trained, state, loss = step(trained, frozen, state, minibatch)
        on_step(float(loss))
        on_params(number, partition.join(trained, frozen))
    return {**params, "actor_backbone": partition.join(trained, frozen)}


def _partition(actor_backbone: Any, config: TrainConfig) -> Partition:
    """Returns what of the actor imitation changes."""
    trained = trained_leaves(actor_backbone, config.ppo)
    if not any(jax.tree.leaves(trained)):
        raise UserError(
            "imitation must have parameters to train, got both ppo.freeze_image_tower and ppo.freeze_text_tower; "
            "leave one of them out"
        )
    return Partition(trained)


def clone_demonstrations(config: TrainConfig, directory: Path, *, also_after: Collection[int] = ()) -> Path:
    """Collects demonstrations in the configured simulator, clones them and writes an openpi checkpoint.

    Args:
        config: what is demonstrated, and how it is cloned.
        directory: of the checkpoint.
        also_after: gradient steps after which one is written as well, beside it: `<directory>-<step>`.

    Returns:
        The checkpoint's folder, `directory`.

    Raises:
        CheckpointError: when the folder is there already, which is found before anything is done, or cannot be written.
        SimulatorUnavailable: when the simulator cannot render here.
    """
    earlier = {step: directory.with_name(f"{directory.name}-{step}") for step in also_after}
    for folder in (directory, *earlier.values()):
        check_is_free(folder)
    settings = config.pretrain
    with tqdm(total=settings.num_demonstrations, desc="demonstrations", unit="episode") as bar:
        demonstrations = collect_demonstrations(config, on_episode=bar.update)
    print(f"the demonstrator solved {np.mean(demonstrations.success):.0%} of {settings.num_demonstrations} episodes")
    tokenizer = fit(demonstrations, config)
    policy = Pi0FASTActorCritic(config.model, tokenizer.token_ids, tokenizer.constraint())
    params = policy.init(key=jax.random.key(config.run.seed))

    def save(folder: Path, actor_backbone: Any) -> Path:
        settings = RunSettings.of(config)
        return save_openpi_checkpoint(folder, actor_backbone, write_assets=tokenizer.save, settings=settings)

    def on_params(step: int, actor_backbone: Any) -> None:
        if step in earlier:
            save(earlier[step], actor_backbone)

    batch = tokenize(demonstrations, tokenizer)
    with cloning_progress(settings.bc_steps) as on_step:
        params = clone(policy, params, batch, config, on_step=on_step, on_params=on_params)
    return save(directory, params["actor_backbone"])


@contextlib.contextmanager
def cloning_progress(num_steps: int) -> Iterator[Callable[[float], None]]:
    """Shows a bar of so many gradient steps and gives what advances it by one, from the step's loss in nats a token."""
    with tqdm(total=num_steps, desc="behaviour cloning", unit="step") as bar:

        def on_step(loss: float) -> None:
            bar.set_postfix(nats_per_token=f"{loss:.3f}", refresh=False)
            bar.update()

        yield on_step


jax.tree_util.register_dataclass(CloningBatch)
