"""Lets a policy decode a chunk greedily for each observation, as it acts, and turns its tokens into actions."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from chunk_ppo_ros.core_jax.arrays import AnyArray, Params
from chunk_ppo_ros.imitation.behavior_cloning import CLONING_TEMPERATURE, CloningBatch
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from chunk_ppo_ros.reporting.progress import progress_bar


@dataclasses.dataclass(frozen=True)
class DecodedChunks:
    """The actions that N lists of tokens stand for.

    Attributes:
        actions: float32 [N, H, D], absolute joint targets, rad, grippers normalized; NaN where a chunk is not valid.
        reasons: why the tokens of each chunk stand for no actions; empty where they stand for some.
    """

    actions: np.ndarray
    reasons: tuple[str, ...]

    @property
    def valid(self) -> np.ndarray:
        """Whether the tokens stand for actions, bool [N]."""
        return np.array([not reason for reason in self.reasons])


def decode_tokens(tokens: np.ndarray, states: np.ndarray, tokenizer: PolicyTokenizer) -> DecodedChunks:
    """Returns the actions of tokens.

    Args:
        tokens: int [N, T], model ids.
        states: float [N, S], the states at the starts of the chunks, rad, grippers normalized.
        tokenizer: the tokenizer of the policy.
    """
    decoded = [tokenizer.decode_actions(row, state) for row, state in zip(tokens, states, strict=True)]
    return DecodedChunks(np.stack([one.actions for one in decoded]), tuple(one.reason for one in decoded))


def decode_greedily(
    policy: Pi0FASTActorCritic, params: Params, batch: CloningBatch, tokenizer: PolicyTokenizer, *, batch_size: int
) -> DecodedChunks:
    """Returns the chunks of the likeliest tokens, one after the other, for the observations of a batch.

    Args:
        policy: the policy that acts.
        params: all parameters of the policy.
        batch: N chunks, at least one, of which the observations are read.
        tokenizer: the tokenizer of the policy.
        batch_size: number of chunks that are decoded at once, at least 1.
    """

    @jax.jit
    def sample(params: Params, part: CloningBatch) -> AnyArray:
        key = jax.random.key(0)  # Greedy decoding draws nothing.
        chunks = policy.sample_actions(params, part.observation, key=key, temperature=CLONING_TEMPERATURE, greedy=True)
        return chunks.action_tokens

    tokens = np.zeros(batch.action_tokens.shape, np.int32)
    with progress_bar("decoding", unit="chunk", total=len(batch), compiles=True) as bar:
        for first in range(0, len(batch), batch_size):
            # The last batch is filled up with first rows, so that all batches have the shape that was compiled.
            rows = np.arange(first, first + batch_size) % len(batch)
            tokens[rows] = np.asarray(sample(params, batch.take(rows)))
            bar.set(min(first + batch_size, len(batch)), len(batch))
    return decode_tokens(tokens, batch.observation.state, tokenizer)
