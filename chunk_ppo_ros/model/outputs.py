"""Defines the results of the policy, which are sampled chunks and the scores of given chunks."""

from __future__ import annotations

import flax.struct
from jaxtyping import Bool, Float32, Int32

from chunk_ppo_ros.core_jax.arrays import AnyArray
from chunk_ppo_ros.core_jax.value_distribution import ValueEstimate


@flax.struct.dataclass
class Sample:
    """Sampled chunks, with the numbers that training needs.

    Attributes:
        action_tokens: model ids of the sampled tokens, then "|" and the end token where they are forced, then 0.
        token_mask: true on the sampled tokens.
        token_log_probs: log-probabilities under the distribution that was sampled, nats; 0 where the mask is false.
        token_entropies: entropies of the distribution that was sampled, nats; 0 where the mask is false.
        value: V(s), in units of reward.
    """

    action_tokens: Int32[AnyArray, "*batch T"]
    token_mask: Bool[AnyArray, "*batch T"]
    token_log_probs: Float32[AnyArray, "*batch T"]
    token_entropies: Float32[AnyArray, "*batch T"]
    value: Float32[AnyArray, "*batch"]


@flax.struct.dataclass
class ChunkScores:
    """Scores of given chunks.

    Attributes:
        token_log_probs: log-probabilities of the tokens, nats; 0 where the mask is false.
        entropy: entropies over the legal tokens of each slot, nats; 0 where the mask is false.
        value: V(s), [B].
        chunk_value: V(s, a), [B]; None where the model has none, or no actions were given.
    """

    token_log_probs: Float32[AnyArray, "*batch T"]
    entropy: Float32[AnyArray, "*batch T"]
    value: ValueEstimate
    chunk_value: ValueEstimate | None
