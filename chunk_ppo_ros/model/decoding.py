"""From hidden states to action tokens: the distribution that is sampled and scored, and the sampling loop.

`score` and `sample` share `legal_log_probs`, so that they mean the same distribution: the softmax over the decoder's
legal choices at a temperature. What is legal, and when a row is complete, is in `decoders.py`.
Shape letters: B batch, T most tokens of a row (the decoder's max_tokens), K choices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array

from chunk_ppo_ros.model.decoders import Decoder

Carry = TypeVar("Carry")

_ILLEGAL = -2.3819763e38  # logit of an illegal token; finite, so that a row without legal tokens makes no NaN


@flax.struct.dataclass
class TokenSamples:
    """Sampled tokens.

    Attributes:
        choices: int32 [B, T], 0 where the mask is false.
        mask: bool [B, T], true where a token was sampled: contiguous from slot 0.
        log_probs: float32 [B, T], nats, 0 where the mask is false.
        entropies: float32 [B, T], of the distribution that each was drawn from, nats; 0 where the mask is false.
    """

    choices: Array
    mask: Array
    log_probs: Array
    entropies: Array


@flax.struct.dataclass
class _Loop:
    """The sampling loop before the token of slot `step`."""

    step: Array
    state: Any
    samples: TokenSamples
    carry: Any


def legal_log_probs(logits: Array, legal: Array, temperature: Array | float) -> Array:
    """log softmax(logits / temperature) over the legal tokens, float32 [..., K]; about -2e38 at illegal ones."""
    return jax.nn.log_softmax(jnp.where(legal, logits.astype(jnp.float32) / temperature, _ILLEGAL), axis=-1)


def entropy_of(log_probs: Array, legal: Array) -> Array:
    """-sum p log p over the legal tokens, nats, float32 [...], of what `legal_log_probs` returns."""
    return -jnp.sum(jnp.exp(log_probs) * jnp.where(legal, log_probs, 0.0), axis=-1)


def walk(decoder: Decoder, choices: Array) -> Any:
    """The state before each token of choices [B, T], with leaves [B, T]."""

    def advance(state: Any, chosen: Array) -> tuple[Any, Any]:
        return decoder.advance(state, chosen), state

    _, states = jax.lax.scan(advance, decoder.start(choices.shape[0]), choices.T)
    return jax.tree.map(lambda leaf: leaf.T, states)


def score(
    decoder: Decoder, logits: Array, choices: Array, mask: Array, *, temperature: Array | float
) -> tuple[Array, Array]:
    """Log-probabilities and entropies of tokens under the distribution that `sample` draws from.

    Args:
        decoder: what is legal.
        logits: [B, T, K], of each slot's token.
        choices: int32 [B, T], any within 0 .. K-1 where the mask is false.
        mask: bool [B, T], the slots that are scored.
        temperature: > 0.

    Returns:
        log_probs float32 [B, T] and entropy float32 [B, T] over legal tokens, nats; both 0 where the mask is false.
    """
    legal = decoder.legal(walk(decoder, choices))
    log_probs = legal_log_probs(logits, legal, temperature)
    entropy = entropy_of(log_probs, legal)
    chosen = jnp.take_along_axis(log_probs, choices[..., None], axis=-1)[..., 0]
    return jnp.where(mask, chosen, 0.0), jnp.where(mask, entropy, 0.0)


def sample(
    decoder: Decoder,
    start: tuple[Array, Carry],
    next_logits: Callable[[Carry, Array, Array], tuple[Array, Carry]],
    *,
    key: Array,
    temperature: Array | float,
    greedy: bool,
) -> TokenSamples:
    """Samples until every row is complete, or T tokens; a complete row takes no more.

    Args:
        decoder: what is legal, and T.
        start: logits [B, K] of the first token, and what `next_logits` carries along, the K/V cache.
        next_logits: (carry, choices int32 [B], step int32 []) -> logits [B, K] after the token of slot `step`, carry.
        key: source of randomness.
        temperature: > 0.
        greedy: take the likeliest token instead; log-probs are still those of the distribution.
    """
    logits, carry = start
    batch = logits.shape[0]

    def choose(loop: _Loop, logits: Array) -> _Loop:
        legal = decoder.legal(loop.state)
        log_probs = legal_log_probs(logits, legal, temperature)
        noise = 0.0 if greedy else jax.random.gumbel(jax.random.fold_in(key, loop.step), log_probs.shape)
        choices = jnp.argmax(log_probs + noise, axis=-1).astype(jnp.int32)
        chosen = jnp.take_along_axis(log_probs, choices[:, None], axis=-1)[:, 0]
        active = ~decoder.is_complete(loop.state)
        samples = TokenSamples(
            choices=loop.samples.choices.at[:, loop.step].set(jnp.where(active, choices, 0)),
            mask=loop.samples.mask.at[:, loop.step].set(active),
            log_probs=loop.samples.log_probs.at[:, loop.step].set(jnp.where(active, chosen, 0.0)),
            entropies=loop.samples.entropies.at[:, loop.step].set(jnp.where(active, entropy_of(log_probs, legal), 0.0)),
        )
        return dataclasses.replace(
            loop, step=loop.step + 1, state=decoder.advance(loop.state, choices), samples=samples
        )

    def unfinished(loop: _Loop) -> Array:
        return (loop.step < decoder.max_tokens) & ~jnp.all(decoder.is_complete(loop.state))

    def turn(loop: _Loop) -> _Loop:
        last = loop.step - 1
        logits, carry = next_logits(loop.carry, loop.samples.choices[:, last], last)
        return choose(dataclasses.replace(loop, carry=carry), logits)

    empty = TokenSamples(
        choices=jnp.zeros((batch, decoder.max_tokens), jnp.int32),
        mask=jnp.zeros((batch, decoder.max_tokens), bool),
        log_probs=jnp.zeros((batch, decoder.max_tokens), jnp.float32),
        entropies=jnp.zeros((batch, decoder.max_tokens), jnp.float32),
    )
    loop = _Loop(step=jnp.int32(0), state=decoder.start(batch), samples=empty, carry=carry)
    return jax.lax.while_loop(unfinished, turn, choose(loop, logits)).samples
