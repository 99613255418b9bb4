"""Whether the log-probs that were recorded while sampling are those of the parameters that are to be trained."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.rl import losses
from chunk_ppo_ros.rl.rollout import RolloutBatch
from chunk_ppo_ros.rl.update_errors import LogProbGapError


def score(evaluate: losses.Evaluate, params: Any, batch: RolloutBatch) -> losses.Evaluation:
    """What `params` say about the chunks of a minibatch."""
    return evaluate(
        params,
        batch.observation,
        batch.action_tokens,
        batch.token_mask,
        temperature=batch.temperature,
        actions=batch.actions,
    )


@dataclasses.dataclass(frozen=True)
class LogProbGaps:
    """Between sampling and scoring: largest |ratio - 1| of a chunk, largest |difference| of a token, nats."""

    chunk: float
    token: float


class LogProbCheck:
    """Scores rollouts before anything is trained, a minibatch at a time; compiled once for rollouts of one size.

    Args:
        evaluate: scores sampled tokens under given parameters.
        batch_size: chunks in a minibatch; divides the chunks of a rollout.
        limit: the largest |ratio - 1| of a chunk.
    """

    def __init__(self, evaluate: losses.Evaluate, *, batch_size: int, limit: float) -> None:
        self._evaluate = evaluate
        self._batch_size = batch_size
        self._limit = limit
        self.measure = jax.jit(self._measure)

    def __call__(self, params: Any, rollout: RolloutBatch) -> tuple[np.ndarray, LogProbGaps]:
        """Log-probs [N, T] under `params`, and how far the recorded ones are from them.

        Raises:
            LogProbGapError: if a chunk's gap is above the limit, or not a number.
        """
        minibatches = np.arange(len(rollout.rewards)).reshape(-1, self._batch_size)
        parts = jax.device_get([self.measure(params, rollout, indices) for indices in minibatches])
        log_probs, chunk_gaps, token_gaps = (np.concatenate(part) for part in zip(*parts, strict=True))
        worst = int(np.argmax(chunk_gaps))  # numpy's argmax and max take NaN for the largest
        gaps = LogProbGaps(chunk=float(chunk_gaps[worst]), token=float(np.max(token_gaps)))
        if not gaps.chunk <= self._limit:
            raise LogProbGapError(
                gap=gaps.chunk, limit=self._limit, sequence_number=int(rollout.sequence_number[worst])
            )
        return log_probs, gaps

    def _measure(
        self, params: Any, rollout: RolloutBatch, indices: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Log-probs [B, T], |ratio - 1| of each chunk and the largest |new - old| of its token log-probs, [B] each."""
        batch = rollout.take(indices)
        new_log_probs = score(self._evaluate, params, batch).token_log_probs
        log_ratio = losses.chunk_log_ratio(new_log_probs, batch.token_log_probs, batch.token_mask)
        token_gaps = jnp.where(batch.token_mask, jnp.abs(new_log_probs - batch.token_log_probs), 0.0)
        return new_log_probs, jnp.abs(jnp.exp(log_ratio) - 1.0), jnp.max(token_gaps, axis=-1)
