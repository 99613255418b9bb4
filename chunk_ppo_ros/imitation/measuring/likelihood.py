"""Computes how likely demonstrated chunks are under a policy, by token, by place in the chunk and by joint."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core_jax.arrays import Params
from chunk_ppo_ros.imitation.behavior_cloning import CLONING_TEMPERATURE, CloningBatch
from chunk_ppo_ros.imitation.measuring.coefficient_nats import FastPrefixes, coefficient_nats
from chunk_ppo_ros.model.action_log_probs import ActionLogProbs, action_log_probs
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from chunk_ppo_ros.reporting.progress import progress_bar

NUM_PARTS = 4
"""The number of parts of a chunk's tokens, first to last, whose nats are reported apart."""


@dataclasses.dataclass(frozen=True)
class ChunkNats:
    """The negative log-probabilities of N demonstrated chunks, in nats.

    Attributes:
        token_nats: float64 [N, T], those of each token given the tokens before it; 0 where the mask is false.
        token_mask: bool [N, T], true on the tokens that the policy samples.
        joint_nats: float64 [N, D], the share of each action dimension (`coefficient_nats.py` defines it).
        end_nats: float64 [N], those of "|" at the end of a chunk; 0 where decoding is constrained.
    """

    token_nats: np.ndarray
    token_mask: np.ndarray
    joint_nats: np.ndarray
    end_nats: np.ndarray

    @property
    def per_token(self) -> float:
        """The mean over all tokens of all chunks."""
        return float(self.token_nats.sum() / self.token_mask.sum())

    @property
    def per_chunk(self) -> float:
        """The mean over chunks of the sum of their tokens."""
        return float(self.token_nats.sum() / len(self.token_nats))

    @property
    def tokens_per_chunk(self) -> float:
        """The mean number of tokens that the policy samples for a chunk."""
        return float(self.token_mask.sum() / len(self.token_mask))

    def by_place(self) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """Returns the mean nats of the first, second .. token, and how many chunks have such a token."""
        counts = self.token_mask.sum(axis=0)
        used = counts[counts > 0]
        means = self.token_nats.sum(axis=0)[counts > 0] / used
        return tuple(means.tolist()), tuple(used.tolist())

    def by_part(self) -> tuple[float | None, ...]:
        """Returns the mean nats of a token in each of `NUM_PARTS` equal parts of the chunks' tokens.

        A part is None where all chunks have too few tokens for it.
        """
        lengths = self.token_mask.sum(axis=1, keepdims=True)
        part = np.arange(self.token_mask.shape[1]) * NUM_PARTS // np.maximum(lengths, 1)
        inside = [self.token_mask & (part == number) for number in range(NUM_PARTS)]
        return tuple(float(self.token_nats[one].mean()) if one.any() else None for one in inside)


def chunk_nats(
    policy: Pi0FASTActorCritic, params: Params, batch: CloningBatch, tokenizer: PolicyTokenizer, *, batch_size: int
) -> ChunkNats:
    """Returns the nats of demonstrated chunks under a policy, at the temperature that imitation trains for.

    Args:
        policy: the policy that scores.
        params: all parameters of the policy.
        batch: N demonstrated chunks, at least one.
        tokenizer: the tokenizer by which the chunks were encoded.
        batch_size: number of chunks that are scored at once, at least 1.

    Raises:
        UserError: where a log-probability is not finite, because the weights are broken.
    """

    @jax.jit
    def score(params: Params, part: CloningBatch) -> ActionLogProbs:
        return action_log_probs(policy, params, part.observation, part.action_tokens, temperature=CLONING_TEMPERATURE)

    prefixes, found = FastPrefixes.of(tokenizer.fast.token_bytes), []
    with progress_bar("scoring", unit="chunk", total=len(batch), compiles=True) as bar:
        for first in range(0, len(batch), batch_size):
            # The last batch is filled up with first rows, so that all batches have the shape that was compiled.
            rows = np.arange(first, first + batch_size) % len(batch)
            part = batch.take(rows)
            scores = jax.device_get(score(params, part))
            for row in range(min(batch_size, len(batch) - first)):
                log_probs = ActionLogProbs(scores.fast[row], scores.bar[row])
                found.append(_nats_of(part, row, log_probs, tokenizer, prefixes))
            bar.set(len(found), len(batch))
    nats = _stack(found)
    if not np.all(np.isfinite(nats.token_nats)):
        raise UserError(
            "log-probabilities of recorded chunks must be finite, got NaN or infinity; the weights are broken: imitate "
            "with a lower --bc_learning_rate, or take another checkpoint"
        )
    return nats


def nats_by_frequency(batch: CloningBatch, token_counts: np.ndarray, tokenizer: PolicyTokenizer) -> ChunkNats:
    """Returns the nats of chunks whose tokens are drawn by their frequency in other chunks, whatever comes before.

    Each token counts once more than it occurred, so that none is impossible.

    Args:
        batch: N demonstrated chunks.
        token_counts: int [F + 1], how often each FAST token occurred, and last "|" where decoding is free.
        tokenizer: the tokenizer by which the chunks were encoded.
    """
    counts = np.asarray(token_counts, np.float64) + 1.0
    if tokenizer.config.constrain_decoding:
        counts[-1] = 0.0
    with np.errstate(divide="ignore"):
        log_probs = np.log(counts / counts.sum())
    prefixes, slots = FastPrefixes.of(tokenizer.fast.token_bytes), batch.action_tokens.shape[1]
    scores = ActionLogProbs(np.tile(log_probs[:-1], (slots, 1)), np.full(slots, log_probs[-1]))
    return _stack([_nats_of(batch, row, scores, tokenizer, prefixes) for row in range(len(batch))])


def count_tokens(batch: CloningBatch, tokenizer: PolicyTokenizer) -> np.ndarray:
    """Returns how often each FAST token is imitated, and last how often "|" is, int64 [F + 1]."""
    ids = tokenizer.token_ids
    tokens = batch.action_tokens[batch.token_mask]
    choices = np.where(tokens == ids.bar, ids.num_fast, ids.to_fast(tokens))
    return np.bincount(choices, minlength=ids.num_fast + 1)


def _nats_of(
    batch: CloningBatch, row: int, scores: ActionLogProbs, tokenizer: PolicyTokenizer, prefixes: FastPrefixes
) -> ChunkNats:
    """Returns the nats of the chunk in a row, without the axis of chunks, from its log-probabilities [T, F] and [T]."""
    tokens, mask = batch.action_tokens[row], batch.token_mask[row]
    fast, bar = np.asarray(scores.fast), np.asarray(scores.bar)
    ids, model = tokenizer.token_ids, tokenizer.config
    chosen = tokens[mask].tolist()
    fast_ids = [ids.to_fast(token) for token in chosen if ids.is_fast(token)]
    of_coefficients = coefficient_nats(
        prefixes, fast_ids, fast, num_coefficients=model.action_horizon * model.action_dim
    )
    token_nats = np.zeros(len(tokens))
    token_nats[: len(fast_ids)] = [-fast[slot, index] for slot, index in enumerate(fast_ids)]
    end = -float(bar[len(fast_ids)]) if len(chosen) > len(fast_ids) else 0.0
    token_nats[len(fast_ids) : len(chosen)] = end
    joints = of_coefficients.reshape(model.action_horizon, model.action_dim).sum(axis=0)
    return ChunkNats(token_nats, mask, joints, np.array(end))


def _stack(chunks: list[ChunkNats]) -> ChunkNats:
    fields = [field.name for field in dataclasses.fields(ChunkNats)]
    return ChunkNats(*(np.stack([getattr(chunk, name) for chunk in chunks]) for name in fields))
