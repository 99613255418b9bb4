"""From hidden states to FAST tokens: the distribution that is sampled and scored, and the sampling loop.

Only the F rows of FAST tokens meet the hidden states, and log-probabilities are normalised over the tokens that the
constraint allows. `score` and `sample` share `legal_log_probs`, so that they mean the same distribution.
Shape letters: B batch, T action-token slots, F FAST tokens, W decoder width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from chunk_ppo_ros.model.constraint import ConstraintState, FastConstraint

if TYPE_CHECKING:
    from chunk_ppo_ros.model.tokenizer import TokenIds

Carry = TypeVar("Carry")

_ILLEGAL = -2.3819763e38  # logit of an illegal token; finite, so that a row without legal tokens makes no NaN


@flax.struct.dataclass
class TokenSamples:
    """Sampled FAST tokens.

    Attributes:
        fast_ids: int32 [B, T], 0 where the mask is false.
        mask: bool [B, T], true where a token was sampled: contiguous from slot 0.
        log_probs: float32 [B, T], nats, 0 where the mask is false.
    """

    fast_ids: Array
    mask: Array
    log_probs: Array


@flax.struct.dataclass
class _Loop:
    """The sampling loop before the token of slot `step`."""

    step: Array
    state: ConstraintState
    samples: TokenSamples
    carry: Any


def fast_rows(token_ids: TokenIds, table: Array) -> Array:
    """Rows [F, W] of the embedding table [V, W], in the order of FAST ids."""
    last = token_ids.vocab_size - token_ids.skip
    return table[last - token_ids.num_fast : last][::-1]


def legal_log_probs(logits: Array, legal: Array | np.ndarray, temperature: Array | float) -> Array:
    """log softmax(logits / temperature) over the legal tokens, float32 [..., F]; about -2e38 at illegal ones."""
    return jax.nn.log_softmax(jnp.where(legal, logits.astype(jnp.float32) / temperature, _ILLEGAL), axis=-1)


def walk(constraint: FastConstraint, fast_ids: Array) -> ConstraintState:
    """The state before each token of FAST ids [B, T], with leaves [B, T]."""

    def advance(state: ConstraintState, ids: Array) -> tuple[ConstraintState, ConstraintState]:
        return constraint.advance(state, ids), state

    _, states = jax.lax.scan(advance, constraint.start(fast_ids.shape[0]), fast_ids.T)
    return jax.tree.map(lambda leaf: leaf.T, states)


def score(
    constraint: FastConstraint, logits: Array, fast_ids: Array, mask: Array, *, temperature: Array | float
) -> tuple[Array, Array]:
    """Log-probabilities and entropies of tokens under the distribution that `sample` draws from.

    Args:
        constraint: what is legal.
        logits: [B, T, F], of each slot's token.
        fast_ids: int32 [B, T], any within 0 .. F-1 where the mask is false.
        mask: bool [B, T], the slots that are scored.
        temperature: > 0.

    Returns:
        log_probs float32 [B, T] and entropy float32 [B, T] over legal tokens, nats; both 0 where the mask is false.
    """
    batch, slots = fast_ids.shape
    states = jax.tree.map(lambda leaf: leaf.reshape(-1), walk(constraint, fast_ids))
    legal = constraint.legal_tokens(states).reshape(batch, slots, -1)
    log_probs = legal_log_probs(logits, legal, temperature)
    entropy = -jnp.sum(jnp.exp(log_probs) * jnp.where(legal, log_probs, 0.0), axis=-1)
    chosen = jnp.take_along_axis(log_probs, fast_ids[..., None], axis=-1)[..., 0]
    return jnp.where(mask, chosen, 0.0), jnp.where(mask, entropy, 0.0)


def sample(
    constraint: FastConstraint,
    start: tuple[Array, Carry],
    next_logits: Callable[[Carry, Array, Array], tuple[Array, Carry]],
    *,
    key: Array,
    temperature: Array | float,
    greedy: bool,
) -> TokenSamples:
    """Samples until every row is complete under the constraint.

    Args:
        constraint: what is legal; T is its max_tokens.
        start: logits [B, F] of the first token, and what `next_logits` carries along, the K/V cache.
        next_logits: (carry, fast_ids int32 [B], step int32 []) -> logits [B, F] after the token of slot `step`, carry.
        key: source of randomness.
        temperature: > 0.
        greedy: take the likeliest token instead; log-probs are still those of the distribution.
    """
    logits, carry = start
    batch = logits.shape[0]

    def choose(loop: _Loop, logits: Array) -> _Loop:
        log_probs = legal_log_probs(logits, constraint.legal_tokens(loop.state), temperature)
        noise = 0.0 if greedy else jax.random.gumbel(jax.random.fold_in(key, loop.step), log_probs.shape)
        fast_ids = jnp.argmax(log_probs + noise, axis=-1).astype(jnp.int32)
        chosen = jnp.take_along_axis(log_probs, fast_ids[:, None], axis=-1)[:, 0]
        active = ~constraint.is_complete(loop.state)
        samples = TokenSamples(
            fast_ids=loop.samples.fast_ids.at[:, loop.step].set(jnp.where(active, fast_ids, 0)),
            mask=loop.samples.mask.at[:, loop.step].set(active),
            log_probs=loop.samples.log_probs.at[:, loop.step].set(jnp.where(active, chosen, 0.0)),
        )
        return dataclasses.replace(
            loop, step=loop.step + 1, state=constraint.advance(loop.state, fast_ids), samples=samples
        )

    def unfinished(loop: _Loop) -> Array:
        return (loop.step < constraint.max_tokens) & ~jnp.all(constraint.is_complete(loop.state))

    def turn(loop: _Loop) -> _Loop:
        last = loop.step - 1
        logits, carry = next_logits(loop.carry, loop.samples.fast_ids[:, last], last)
        return choose(dataclasses.replace(loop, carry=carry), logits)

    empty = TokenSamples(
        fast_ids=jnp.zeros((batch, constraint.max_tokens), jnp.int32),
        mask=jnp.zeros((batch, constraint.max_tokens), bool),
        log_probs=jnp.zeros((batch, constraint.max_tokens), jnp.float32),
    )
    loop = _Loop(step=jnp.int32(0), state=constraint.start(batch), samples=empty, carry=carry)
    return jax.lax.while_loop(unfinished, turn, choose(loop, logits)).samples
