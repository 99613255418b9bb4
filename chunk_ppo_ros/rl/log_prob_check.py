"""Checks that the recorded log-probabilities are those of the parameters that are to be trained."""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core_jax.arrays import AnyArray, Params
from chunk_ppo_ros.rl.policy_scores import Evaluate, score
from chunk_ppo_ros.rl.ratios import chunk_log_ratio
from chunk_ppo_ros.rl.rollout import RolloutBatch
from chunk_ppo_ros.rl.update_errors import LogProbGapError


@flax.struct.dataclass
class RolloutScores:
    """The scores of N chunks under given parameters.

    Attributes:
        token_log_probs: log-probability of each token, nats.
        chunk_gaps: |ratio - 1| of each chunk, where ratio is its probability divided by the recorded one; 0 where a
            human drove.
        token_gaps: largest |difference| of a token's log-probability to the recorded one in each chunk, nats; 0 where a
            human drove.
        chunk_values: V(s, a), in units of reward; None where the policy has none.
    """

    token_log_probs: Float[AnyArray, "N T"]
    chunk_gaps: Float[AnyArray, "N"]
    token_gaps: Float[AnyArray, "N"]
    chunk_values: Float[AnyArray, "N"] | None

    def gap_metrics(self) -> Metrics:
        """Returns the largest gaps as metrics. The scores must be on the host."""
        return Metrics(
            {
                "logp_gap/max_ratio": float(np.max(self.chunk_gaps)),
                "logp_gap/token_max": float(np.max(self.token_gaps)),
            }
        )


class LogProbCheck:
    """Scores rollouts a minibatch at a time, and refuses gaps that are too large.

    It is compiled once for rollouts of one size.

    Args:
        evaluate: scores sampled tokens under given parameters.
        batch_size: number of chunks in a minibatch; it must divide the number of chunks of a rollout.
        limit: the largest |ratio - 1| that a chunk may have.
    """

    def __init__(self, evaluate: Evaluate, *, batch_size: int, limit: float) -> None:
        self._evaluate = evaluate
        self._batch_size = batch_size
        self._limit = limit
        self.measure = jax.jit(self._measure)

    def __call__(self, params: Params, rollout: RolloutBatch) -> RolloutScores:
        """Returns, on the host, the scores under the parameters that sampled the chunks.

        Raises:
            LogProbGapError: if a chunk's gap is above the limit, or not a number.
        """
        scores = self.scores(params, rollout)
        worst = int(np.argmax(scores.chunk_gaps))  # numpy's argmax returns the first NaN where there is one.
        gap = float(scores.chunk_gaps[worst])
        if not gap <= self._limit:
            offenders = tuple(int(place) for place in np.flatnonzero(~(scores.chunk_gaps <= self._limit)))
            number = int(rollout.sequence_number[worst])
            raise LogProbGapError(gap=gap, limit=self._limit, sequence_number=number, offenders=offenders)
        return scores

    def scores(self, params: Params, rollout: RolloutBatch) -> RolloutScores:
        """Returns, on the host, the scores under any parameters."""
        minibatches = np.arange(len(rollout.rewards)).reshape(-1, self._batch_size)
        parts = jax.device_get([self.measure(params, rollout, indices) for indices in minibatches])
        scores: RolloutScores = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        return scores

    def _measure(self, params: Params, rollout: RolloutBatch, indices: Int[AnyArray, "B"]) -> RolloutScores:
        batch = rollout.take(indices)
        scores = score(self._evaluate, params, batch)
        new_log_probs = scores.token_log_probs
        log_ratio = chunk_log_ratio(new_log_probs, batch.token_log_probs, batch.token_mask)
        sampled = batch.token_mask & ~batch.human_mask[:, None]
        token_gaps = jnp.where(sampled, jnp.abs(new_log_probs - batch.token_log_probs), 0.0)
        return RolloutScores(
            token_log_probs=new_log_probs,
            chunk_gaps=jnp.where(batch.human_mask, 0.0, jnp.abs(jnp.expm1(log_ratio))),
            token_gaps=jnp.max(token_gaps, axis=-1),
            chunk_values=None if scores.chunk_value is None else scores.chunk_value.mean,
        )
