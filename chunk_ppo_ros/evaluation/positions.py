"""Finds which position rule a checkpoint prefers: the policy's, as in openpi's training, or that of openpi's sampler.

Both rules score the same demonstrated chunks, each token given the tokens before it. The rule with the higher
likelihood is the one under which the checkpoint was trained. The sampler gives generated tokens positions that are
larger by one than in training, and it does not count masked cameras. The likelihood is that of FAST tokens alone,
without the decoding constraint, so that only positions differ.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.run_start.checkpoint_settings import config_for_measuring
from chunk_ppo_ros.config import (
    PRESETS,
    REAL_ROBOT,
    SIMULATORS,
    TrainConfig,
)
from chunk_ppo_ros.config.commands.checkpoints import positions_parser
from chunk_ppo_ros.core.errors import EpisodesError, UserError
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.core_jax.arrays import Params
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR
from chunk_ppo_ros.data.fingerprint import record_of
from chunk_ppo_ros.data.recorded_chunks import RecordedChunks, read_chunks
from chunk_ppo_ros.evaluation.parity.parity_served import SERVED_SHIFT, generated_states
from chunk_ppo_ros.evaluation.statistics import mean_interval
from chunk_ppo_ros.imitation.behavior_cloning import CloningBatch, tokenize
from chunk_ppo_ros.imitation.reading import read_all
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.backbone.layout import make_layout
from chunk_ppo_ros.model.backbone.pi0_fast import embedding_table
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.data_contradictions import check_data
from chunk_ppo_ros.reporting.progress import progress_bar
from chunk_ppo_ros.sim.experts.demonstrations import Demonstrations, collect_demonstrations

NUM_DEMONSTRATIONS = 32
BATCH_SIZE = 8


@dataclasses.dataclass(frozen=True)
class Preference:
    """The likelihoods of E demonstrations under both rules.

    Attributes:
        ours: [E], log-likelihood of each demonstration under the policy's rule, nats per token.
        served: [E], log-likelihood of each demonstration under the rule of openpi's sampler, nats per token.
    """

    ours: np.ndarray
    served: np.ndarray

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean of ours - served, nats per token."""
        return mean_interval(self.ours - self.served)

    @property
    def verdict(self) -> str:
        """The rule that is likelier: "ours", "served" or "neither"."""
        low, high = self.interval
        return "ours" if low > 0 else "served" if high < 0 else "neither"

    def __str__(self) -> str:
        low, high = self.interval
        difference = float(np.mean(self.ours - self.served))
        return (
            f"the policy's rule {self.ours.mean():+.4f} nats per token, openpi's sampler's {self.served.mean():+.4f}; "
            f"difference {difference:+.4f} [{low:+.4f}, {high:+.4f}] over {count_of(len(self.ours), 'demonstration')}, "
            f"95 % interval\n{_ADVICE[self.verdict]}"
        )


_ADVICE = {
    "ours": "The checkpoint was trained under the policy's rule. Use it as it is.",
    "served": (
        "The checkpoint prefers the positions of openpi's sampler, which the policy does not use. Train it on "
        "demonstrations (by openpi's training, which has the policy's rule) before reinforcement learning."
    ),
    "neither": (
        "The demonstrations show no difference between the rules. Use more of them by --num_demonstrations, or some "
        "that are like those that the checkpoint was trained on. If the result stays, either rule will do."
    ),
}


def prefer(policy: Pi0FASTActorCritic, params: Params, batch: CloningBatch, episodes: np.ndarray) -> Preference:
    """Scores demonstrated chunks under both rules.

    Args:
        policy: policy whose rule is compared with the sampler's.
        params: parameters of the policy.
        batch: N demonstrated chunks.
        episodes: int [N], number of the demonstration that each chunk belongs to, 0..E-1.
    """
    score = jax.jit(lambda actor, chunks: score_both(policy, actor, chunks))
    actor, sums = params[ACTOR], np.zeros((2, len(batch)))
    with progress_bar("scoring", unit="chunk", total=len(batch), compiles=True) as bar:
        for first in range(0, len(batch), BATCH_SIZE):
            # The last batch is filled up with first rows, so that all batches have the shape that was compiled.
            rows = np.arange(first, first + BATCH_SIZE) % len(batch)
            sums[:, rows] = np.asarray(score(actor, batch.take(rows)))
            bar.set(min(first + BATCH_SIZE, len(batch)), len(batch))
    tokens = np.bincount(episodes, batch.token_mask.sum(axis=1))
    ours, served = (np.bincount(episodes, row) / tokens for row in sums)
    return Preference(ours=ours, served=served)


def score_both(policy: Pi0FASTActorCritic, actor: Params, chunks: CloningBatch) -> tuple[Array, Array]:
    """Returns log-likelihoods of chunks, float32 [B], nats: under the policy's rule, and under openpi's sampler's."""
    backbone, observation = policy.backbone, chunks.observation
    prompt_mask, image_mask = jnp.asarray(observation.prompt_mask), jnp.asarray(observation.image_mask)
    forced = jnp.array(policy.token_ids.action_prefix, jnp.int32)
    answers = jnp.concatenate([jnp.tile(forced, (len(image_mask), 1)), jnp.asarray(chunks.action_tokens)], axis=1)
    images = backbone.embed_images(actor, jnp.asarray(observation.images))
    prefix = jnp.concatenate([images, backbone.embed_tokens(actor, jnp.asarray(observation.prompt_tokens))], axis=1)

    layout = make_layout(image_mask, prompt_mask, patches=backbone.patches, causal_slots=answers.shape[1])
    hidden, _ = backbone.run(actor, jnp.concatenate([prefix, backbone.embed_tokens(actor, answers)], axis=1), layout)
    # The forced tokens "Action: " come first, so that there is a slot before each FAST token that predicts it.
    ours = hidden[:, prefix.shape[1] + len(forced) - 1 : -1]
    valid = layout.valid[:, : prefix.shape[1]]
    served = generated_states(backbone, actor, prefix, valid, answers, shift=SERVED_SHIFT)[:, len(forced) :]
    return _likelihood(policy, actor, chunks, ours), _likelihood(policy, actor, chunks, served)


def _likelihood(policy: Pi0FASTActorCritic, actor: Params, chunks: CloningBatch, hidden: Array) -> Array:
    """Returns float32 [B], the summed log-probs of FAST tokens, from the hidden states [B, T, W] that predict them."""
    ids = policy.token_ids
    rows = embedding_table(actor)[ids.to_model(jnp.arange(ids.num_fast))]
    log_probs = jax.nn.log_softmax(hidden.astype(jnp.float32) @ rows.T)
    chosen = jnp.clip(ids.to_fast(jnp.asarray(chunks.action_tokens)), 0, ids.num_fast - 1)
    scores = jnp.take_along_axis(log_probs, chosen[..., None], axis=-1)[..., 0]
    return jnp.sum(jnp.where(jnp.asarray(chunks.token_mask), scores, 0.0), axis=1)


def prefer_checkpoint(checkpoint: Checkpoint, config: TrainConfig, *, episodes: Path | None = None) -> Preference:
    """Returns the preference of a checkpoint.

    Args:
        checkpoint: checkpoint of this package or of openpi.
        config: configuration of the model and of the simulator; `pretrain.num_demonstrations` are scored.
        episodes: recorded episodes that are scored instead of the simulator's demonstrations.

    Raises:
        UserError: when the checkpoint does not fit, or when the demonstrations are missing, too few or of another
            robot.
    """
    bundle = restore.load(checkpoint, config)
    demonstrations: Demonstrations | RecordedChunks = (
        _demonstrate(config) if episodes is None else recorded_chunks_of(episodes, config, checkpoint=checkpoint)
    )
    try:
        batch = tokenize(demonstrations, bundle.tokenizer)
    except ValueError as error:
        raise UserError(f"demonstrations cannot be scored: {error}") from error
    return prefer(bundle.policy, bundle.params, batch, demonstrations.episodes)


def _demonstrate(config: TrainConfig) -> Demonstrations:
    with progress_bar("demonstrations", unit="episode", total=config.pretrain.num_demonstrations) as bar:
        return collect_demonstrations(config, on_episode=bar.update)


def recorded_chunks_of(path: Path, config: TrainConfig, *, checkpoint: Checkpoint | None = None) -> RecordedChunks:
    """Returns the chunks of the first `pretrain.num_demonstrations` recorded episodes, without overlap.

    Args:
        path: the recorded episodes.
        config: configuration of reading and of the model.
        checkpoint: the checkpoint that is scored on them, whose own data they must not contradict.

    Raises:
        EpisodesError: when the episodes are missing, too few or of another robot.
        ContradictedCheckpoint: when they were read with another meaning than the data of the checkpoint.
    """
    recorded = read_all([path], config)
    if checkpoint is not None:
        check_data(checkpoint, record_of(recorded, [path], config), insisted=config.recordings.insist)
    recorded = recorded[: config.pretrain.num_demonstrations]
    if len(recorded) < 2:
        raise EpisodesError(f"episodes must be at least 2 for an interval, got {len(recorded)} in {path}; name more")
    folder = Path(tempfile.gettempdir())
    return read_chunks(recorded, config, folder=folder, stride=config.model.action_horizon)


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo positions CHECKPOINT [--num_demonstrations N] [--episodes PATH]`."""
    parser = positions_parser()
    parsed = parser.parse_args(arguments)
    preset = PRESETS[parsed.config]
    pretrain = dataclasses.replace(preset.pretrain, num_demonstrations=NUM_DEMONSTRATIONS)
    checkpoint = Checkpoint.open(parsed.checkpoint)
    base = dataclasses.replace(preset, pretrain=pretrain)
    config = config_for_measuring(parser, parsed, checkpoint, base=base, needs_task=False)
    if config.pretrain.num_demonstrations < 2:
        parser.error(
            f"--num_demonstrations must be at least 2 for an interval, got {config.pretrain.num_demonstrations}"
        )
    if config.env.is_real and parsed.episodes is None:
        names = " or ".join(SIMULATORS)
        parser.error(f"env.simulator must be {names} to demonstrate, got {REAL_ROBOT}; set it, or name --episodes")
    print(prefer_checkpoint(checkpoint, config, episodes=parsed.episodes))
    return 0
