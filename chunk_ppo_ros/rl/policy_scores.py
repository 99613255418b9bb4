"""What PPO knows of a policy: a function that scores sampled tokens, and what it returns. No model class."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from chunk_ppo_ros.core import types
from chunk_ppo_ros.core_jax.value_distribution import ValueEstimate
from chunk_ppo_ros.rl.rollout import RolloutBatch


@runtime_checkable
class PolicyScores(Protocol):
    """What the current policy says about B sampled chunks."""

    @property
    def token_log_probs(self) -> Any:
        """float32 [B, T], nats; only entries under the token mask are read."""

    @property
    def entropy(self) -> Any:
        """float32 [B, T], of each token's distribution, nats; only entries under the token mask are read."""

    @property
    def value(self) -> ValueEstimate:
        """V(s), [B]."""

    @property
    def chunk_value(self) -> ValueEstimate | None:
        """V(s, a), [B]; None where the policy has none."""


@runtime_checkable
class Evaluate(Protocol):
    """Scores sampled tokens under `params`; it must be traceable by `jax.jit` and free of randomness."""

    def __call__(
        self,
        params: Any,
        observation: types.ModelObservation,
        action_tokens: Any,
        token_mask: Any,
        *,
        temperature: Any,
        actions: Any,
    ) -> PolicyScores:
        """Evaluates B chunks.

        Args:
            params: the policy's.
            observation: leading axis [B].
            action_tokens: int32 [B, T].
            token_mask: bool [B, T].
            temperature: float32 [].
            actions: float32 [B, H, D], normalised, for V(s, a); or None.
        """


def score(evaluate: Evaluate, params: Any, batch: RolloutBatch) -> PolicyScores:
    """What `params` say about the chunks of a minibatch."""
    return evaluate(
        params,
        batch.observation,
        batch.action_tokens,
        batch.token_mask,
        temperature=batch.temperature,
        actions=batch.actions,
    )
