"""Declares all that PPO knows of a policy: a function that scores sampled tokens, and the scores that it returns."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int

from chunk_ppo_ros.core_jax.arrays import AnyArray, Params, Scalar, Tree
from chunk_ppo_ros.core_jax.value_distribution import ValueEstimate
from chunk_ppo_ros.rl.rollout import RolloutBatch


@runtime_checkable
class PolicyScores(Protocol):
    """The scores of B sampled chunks under given parameters."""

    @property
    def token_log_probs(self) -> Float[AnyArray, "B T"]:
        """The log-probability of each token, nats. Only entries under the token mask are read."""

    @property
    def entropy(self) -> Float[AnyArray, "B T"]:
        """The entropy of each token's distribution, nats. Only entries under the token mask are read."""

    @property
    def value(self) -> ValueEstimate:
        """The value V(s) of each chunk's observation, [B]."""

    @property
    def chunk_value(self) -> ValueEstimate | None:
        """The value V(s, a) of each chunk, [B]; None where the policy has none."""


@runtime_checkable
class Evaluate(Protocol):
    """Scores sampled tokens under `params`. It must be traceable by `jax.jit` and free of randomness."""

    def __call__(
        self,
        params: Params,
        observation: Tree,
        action_tokens: Int[AnyArray, "B T"],
        token_mask: Bool[AnyArray, "B T"],
        *,
        temperature: Scalar,
        actions: Float[AnyArray, "B H D"] | None,
    ) -> PolicyScores:
        """Scores B chunks.

        Args:
            params: parameters of the policy.
            observation: a `ModelObservation`, or what `prepare` made of it, with leading axis [B].
            action_tokens: model ids.
            token_mask: true for the tokens that were sampled.
            temperature: temperature of the distribution that was sampled, above 0.
            actions: normalized actions that the tokens stand for, which V(s, a) values; None where there is no V(s, a).
        """


def score(evaluate: Evaluate, params: Params, batch: RolloutBatch) -> PolicyScores:
    """Returns the scores of a minibatch's chunks under `params`."""
    return evaluate(
        params,
        batch.observation,
        batch.action_tokens,
        batch.token_mask,
        temperature=batch.temperature,
        actions=batch.actions,
    )
