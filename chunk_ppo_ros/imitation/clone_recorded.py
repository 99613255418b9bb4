"""Trains fresh or pretrained weights to imitate recorded episodes.

With `run.pretrained_checkpoint_path` it fine-tunes those weights, with their own norm_stats and tokenizers. Without it
the weights are fresh, and norm_stats are computed from the episodes. The tokenizers are then those of
`run.tokenizer_dir`, or are fitted to the episodes. Some episodes are held out. They are scored before and after.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.restore import PolicyBundle
from chunk_ppo_ros.agent.run_start.starting_checkpoint import NoCheckpoint, StartingCheckpoint, open_pretrained
from chunk_ppo_ros.agent.run_start.tokenizer_fitting import check_tokenizers, fit
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.core_jax.arrays import Params
from chunk_ppo_ros.core_jax.parameter_groups import ACTOR
from chunk_ppo_ros.data.episode import Episode, seen_starts
from chunk_ppo_ros.data.fingerprint import record_of
from chunk_ppo_ros.data.recorded_chunks import RecordedChunks, read_chunks
from chunk_ppo_ros.imitation import behavior_cloning
from chunk_ppo_ros.imitation.behavior_cloning import CLONING_TEMPERATURE, CloningBatch
from chunk_ppo_ros.imitation.inspection.before_work import check_before, check_frames, check_tokens
from chunk_ppo_ros.imitation.inspection.first_images import save_first_images
from chunk_ppo_ros.imitation.measuring.held_out import HeldOut, measure_held_out
from chunk_ppo_ros.imitation.measuring.imitated_data import ImitatedData
from chunk_ppo_ros.imitation.norm_stats import check_dims
from chunk_ppo_ros.imitation.reading import read_all
from chunk_ppo_ros.imitation.stages import imitation_stage, kept_settings
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.checkpoints.atomic_folder import check_is_free
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.data_contradictions import check_data
from chunk_ppo_ros.model.checkpoints.metadata import Provenance
from chunk_ppo_ros.model.checkpoints.saving import save_openpi_checkpoint
from chunk_ppo_ros.model.tokenization.normalization import clip_actions
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from chunk_ppo_ros.reporting.progress import progress_bar

MAX_SCORED = 512
"""The largest number of chunks of the held-out episodes that are scored. They are spread evenly over the episodes."""


@dataclasses.dataclass(frozen=True)
class Split:
    """The recorded episodes that are imitated and those that are held out."""

    training: tuple[Episode, ...]
    held_out: tuple[Episode, ...]


def split_episodes(episodes: Sequence[Episode], *, fraction: float, seed: int) -> Split:
    """Returns the episodes in two parts, of which the one that is held out is random.

    It holds out the `fraction`, rounded up, but always leaves at least one episode to imitate. Both parts keep the
    order of the episodes.
    """
    num_held_out = min(math.ceil(fraction * len(episodes)), max(0, len(episodes) - 1))
    chosen = set(np.random.default_rng(seed).permutation(len(episodes))[:num_held_out].tolist())
    return Split(
        tuple(episode for number, episode in enumerate(episodes) if number not in chosen),
        tuple(episode for number, episode in enumerate(episodes) if number in chosen),
    )


def clone_episodes(
    paths: Sequence[Path], config: TrainConfig, directory: Path, *, start: StartingCheckpoint | None = None
) -> Path:
    """Clones recorded episodes and writes an openpi checkpoint.

    Args:
        paths: files and folders of episodes. Episodes that are marked as failures are left out.
        config: configuration of the cloning, of the model, of the robot's rate and cameras, and of the start.
        directory: folder of the checkpoint.
        start: the checkpoint that the section `run` of the configuration names, if the caller has opened it.

    Returns:
        The checkpoint's folder, `directory`.

    Raises:
        ContradictedCheckpoint: when episodes or settings mean something else than those that made the weights.
        CheckpointError: when the folder exists already, which is checked first, when it cannot be written, or when the
            weights to start from cannot be loaded.
        EpisodesError: when the episodes cannot be read or do not fit the model; the text names what was found.
    """
    check_is_free(directory)
    start_from = _checkpoint_of(open_pretrained(config.run) if start is None else start, config)
    episodes = leave_out_failures(read_all(paths, config))
    check_before(episodes, config)
    check_dims(episodes, config.model)
    record = record_of(episodes, paths, config)
    if start_from is not None:
        check_data(start_from, record, insisted=config.recordings.insist)
    split = split_episodes(episodes, fraction=config.pretrain.validation_fraction, seed=config.run.seed)
    check_tokens(episodes, config, start_from, fitted_to=split.training)
    check_frames(episodes, config)
    training = _read(split.training, config, directory.parent)
    bundle = _start(training, config, start_from)
    policy, params, tokenizer = bundle.policy, bundle.params, bundle.tokenizer
    batch = _tokenize(training, split.training, tokenizer)
    print(describe(training, batch, tokenizer))
    picture = directory.with_name(f"{directory.name}.png")
    save_first_images(picture, training)
    print(f"wrote {picture}: look whether colors and cameras are right in what the policy sees first")
    imitated = ImitatedData.of(split.training, split.held_out, training, batch, tokenizer)
    held_out = _read_held_out(split.held_out, config, directory.parent, tokenizer) if split.held_out else None
    score = None if held_out is None else make_score(policy, held_out.batch, config)
    before = None if score is None else score(params)
    with behavior_cloning.cloning_progress(config.pretrain.bc_steps) as on_step:
        params = behavior_cloning.clone(policy, params, batch, config, on_step=on_step)
    if score is not None:
        after = score(params)
        number = count_of(len(split.held_out), "held-out episode")
        print(f"{number}: {before:.3f} nats per token before, {after:.3f} after")
    save_openpi_checkpoint(
        directory,
        params[ACTOR],
        write_assets=lambda assets: imitated.save_with(tokenizer, assets),
        settings=kept_settings(config, record.prompts),
        history=bundle.history.then(imitation_stage(config, record)),
    )
    if held_out is None:
        print("no episode was held out, so nothing says what was learned; set --validation_fraction, or measure others")
    else:
        trained = dataclasses.replace(bundle, params=params)
        measure_held_out(trained, held_out, imitated=imitated, settings=config.pretrain, directory=directory)
    return directory


def leave_out_failures(episodes: Sequence[Episode]) -> list[Episode]:
    """Returns the episodes that are not marked as failures, and prints how many it leaves out.

    Raises:
        EpisodesError: when none is left.
    """
    kept = [episode for episode in episodes if episode.success is not False]
    if len(kept) < len(episodes):
        left_out = len(episodes) - len(kept)
        told = "is marked as a failure and is" if left_out == 1 else "are marked as failures and are"
        print(f"{left_out} of {count_of(len(episodes), 'episode')} {told} left out")
    if not kept:
        raise EpisodesError(
            f"episodes to imitate must be at least one, got {len(episodes)}, all of them marked as failures; name "
            "others"
        )
    return kept


def describe(chunks: RecordedChunks, batch: CloningBatch, tokenizer: PolicyTokenizer) -> str:
    """Returns one line about the imitated chunks."""
    lengths = batch.token_mask.sum(axis=1)
    actions = tokenizer.normalize_actions(chunks.actions, chunks.state)
    _, num_clipped = clip_actions(actions, tokenizer.config.action_limit)
    return (
        f"imitates {count_of(len(batch), 'chunk')} of {count_of(len(chunks.prompts), 'episode')}, "
        f"{count_of(len(set(chunks.prompts)), 'task')}; "
        f"{lengths.mean():.1f} tokens per chunk, at most {lengths.max()} of {tokenizer.max_fast_tokens}; "
        f"{num_clipped / actions.size:.2%} of the actions beyond model.action_limit are clipped"
    )


def make_score(policy: Pi0FASTActorCritic, batch: CloningBatch, config: TrainConfig) -> Callable[[Params], float]:
    """Returns a function that scores parameters on at most `MAX_SCORED` demonstrated chunks. It is compiled once.

    The score is the negative log-probability in nats, as a mean over all tokens of these chunks.
    """
    rows = np.unique(np.linspace(0, len(batch) - 1, min(MAX_SCORED, len(batch))).round().astype(int))
    size = min(config.pretrain.bc_batch_size, len(rows))

    @jax.jit
    def log_probs(params: Params, minibatch: CloningBatch) -> jax.Array:
        tokens, mask = jnp.asarray(minibatch.action_tokens), jnp.asarray(minibatch.token_mask)
        evaluation = policy.evaluate(params, minibatch.observation, tokens, mask, temperature=CLONING_TEMPERATURE)
        return jnp.sum(evaluation.token_log_probs, axis=1)

    def score(params: Params) -> float:
        sums = np.zeros(len(rows))
        for first in range(0, len(rows), size):
            # The last batch is filled up with first rows, so that all batches have the shape that was compiled.
            part = np.arange(first, first + size) % len(rows)
            sums[part] = np.asarray(log_probs(params, batch.take(rows[part])))
        return float(-np.sum(sums) / np.sum(batch.token_mask[rows]))

    return score


def _read(episodes: Sequence[Episode], config: TrainConfig, folder: Path) -> RecordedChunks:
    stride = config.pretrain.chunk_stride
    num_chunks = sum(len(seen_starts(episode, stride=stride)) for episode in episodes)
    with progress_bar("reading images", unit="chunk", total=num_chunks) as bar:
        return read_chunks(episodes, config, folder=folder, stride=stride, on_chunk=bar.update)


def _read_held_out(
    episodes: tuple[Episode, ...], config: TrainConfig, folder: Path, tokenizer: PolicyTokenizer
) -> HeldOut:
    chunks = _read(episodes, config, folder)
    return HeldOut(episodes, chunks, _tokenize(chunks, episodes, tokenizer))


def _checkpoint_of(start: StartingCheckpoint, config: TrainConfig) -> Checkpoint | None:
    """Returns the checkpoint to start from, or None for fresh weights, whose tokenizers are checked then.

    Raises:
        ContradictedCheckpoint: when the settings mean something else than those that made the weights.
        CheckpointError, UserError: when they are missing; the text says where they were looked for.
    """
    if isinstance(start, NoCheckpoint):
        check_tokenizers(config)
        return None
    checkpoint = start.require()
    # Chunks counted with other settings would be refused as clipped, which says nothing of the settings.
    restore.check_settings(checkpoint, config)
    return checkpoint


def _start(chunks: RecordedChunks, config: TrainConfig, checkpoint: Checkpoint | None) -> PolicyBundle:
    """Returns pretrained weights with their tokenizers, or fresh weights with tokenizers for these chunks."""
    if checkpoint is not None:
        return restore.load(checkpoint, config)
    tokenizer = fit(chunks, config)
    try:
        policy = Pi0FASTActorCritic(config.model, tokenizer.token_ids, tokenizer.constraint())
    except ValueError as error:
        raise EpisodesError(f"the tokenizers must fit the model: {error}") from error
    params = policy.init(key=jax.random.key(config.run.seed))
    provenance = Provenance("scratch")
    return PolicyBundle(tokenizer, policy, params, provenance, history=restore.fresh_history(provenance))


def _tokenize(chunks: RecordedChunks, episodes: Sequence[Episode], tokenizer: PolicyTokenizer) -> CloningBatch:
    try:
        return behavior_cloning.tokenize(chunks, tokenizer)
    except ValueError as error:
        sources = ", ".join(dict.fromkeys(episode.source for episode in episodes[:3]))
        raise EpisodesError(f"episodes ({sources} ..) cannot be tokenized: {error}") from error
