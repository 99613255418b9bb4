"""Samples action tokens from logits in a loop, and scores given tokens.

`score` and `sample` share `legal_log_probs`, so they use the same distribution: the softmax over the decoder's legal
choices at a temperature. `decoders.py` decides which choices are legal, and when a row is complete.
Shape letters: B batch, T most tokens of a row (the decoder's max_tokens), K choices.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TypeVar

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Float32, Int, Int32

from chunk_ppo_ros.core_jax.arrays import Array, Key, Scalar, Tree
from chunk_ppo_ros.model.decoders import Decoder

Carry = TypeVar("Carry")

_ILLEGAL = -2.3819763e38  # The logit of an illegal token. It is finite, so that a row without legal tokens is not NaN.


@flax.struct.dataclass
class TokenSamples:
    """Sampled tokens.

    Attributes:
        choices: int32 [B, T], 0 where the mask is false.
        mask: bool [B, T], true where a token was sampled, which is contiguous from slot 0.
        log_probs: float32 [B, T], nats, 0 where the mask is false.
        entropies: float32 [B, T], entropies of the distributions that were sampled, nats; 0 where the mask is false.
    """

    choices: Int32[Array, "*batch T"]
    mask: Bool[Array, "*batch T"]
    log_probs: Float32[Array, "*batch T"]
    entropies: Float32[Array, "*batch T"]

    @classmethod
    def empty(cls, batch: int, max_tokens: int) -> TokenSamples:
        """Returns samples [batch, max_tokens] in which no token is sampled yet."""
        return cls(
            choices=jnp.zeros((batch, max_tokens), jnp.int32),
            mask=jnp.zeros((batch, max_tokens), bool),
            log_probs=jnp.zeros((batch, max_tokens), jnp.float32),
            entropies=jnp.zeros((batch, max_tokens), jnp.float32),
        )


@flax.struct.dataclass
class _Loop:
    """The state of the sampling loop before it samples the token of slot `step`."""

    step: Int32[Array, ""]
    state: Tree
    samples: TokenSamples
    carry: Tree


def legal_log_probs(
    logits: Float[Array, "*batch K"], legal: Bool[Array, "*#batch #K"], temperature: Scalar
) -> Float32[Array, "*batch K"]:
    """Returns log softmax(logits / temperature) over the legal tokens, in nats. It is about -2e38 at illegal ones.

    Args:
        logits: logits of the K choices of each row.
        legal: true for the legal choices.
        temperature: temperature of the distribution, > 0.
    """
    return jax.nn.log_softmax(jnp.where(legal, logits.astype(jnp.float32) / temperature, _ILLEGAL), axis=-1)


def entropy_of(log_probs: Float32[Array, "*batch K"], legal: Bool[Array, "*#batch #K"]) -> Float32[Array, "*batch"]:
    """Returns the entropy -sum p log p over the legal tokens, in nats.

    Args:
        log_probs: what `legal_log_probs` returned.
        legal: the `legal` that `legal_log_probs` was given.
    """
    return -jnp.sum(jnp.exp(log_probs) * jnp.where(legal, log_probs, 0.0), axis=-1)


def walk(decoder: Decoder, choices: Int[Array, "B T"]) -> Tree:
    """Returns the decoder's state before each token of the choices, with leaves [B, T]."""

    def advance(state: Tree, chosen: Int[Array, "B"]) -> tuple[Tree, Tree]:
        return decoder.advance(state, chosen), state

    _, states = jax.lax.scan(advance, decoder.start(choices.shape[0]), choices.T)
    return jax.tree.map(lambda leaf: leaf.T, states)


def score(
    decoder: Decoder,
    logits: Float[Array, "B T K"],
    choices: Int[Array, "B T"],
    mask: Bool[Array, "B T"],
    *,
    temperature: Scalar,
) -> tuple[Float32[Array, "B T"], Float32[Array, "B T"]]:
    """Returns log-probabilities and entropies of tokens under the distribution that `sample` draws from.

    Args:
        decoder: decides which choices are legal.
        logits: logits of the token of each slot.
        choices: the tokens to score; any number within 0 .. K-1 where the mask is false.
        mask: true on the slots that are scored.
        temperature: temperature of the distribution, > 0.

    Returns:
        Log-probabilities, and entropies over the legal tokens, in nats; both are 0 where the mask is false.
    """
    legal = decoder.legal(walk(decoder, choices))
    log_probs = legal_log_probs(logits, legal, temperature)
    entropy = entropy_of(log_probs, legal)
    chosen = jnp.take_along_axis(log_probs, choices[..., None], axis=-1)[..., 0]
    return jnp.where(mask, chosen, 0.0), jnp.where(mask, entropy, 0.0)


def sample(
    decoder: Decoder,
    start: tuple[Float[Array, "B K"], Carry],
    next_logits: Callable[[Carry, Int32[Array, "B"], Int32[Array, ""]], tuple[Float[Array, "B K"], Carry]],
    *,
    key: Key,
    temperature: Scalar,
    greedy: bool,
) -> TokenSamples:
    """Samples until every row is complete or has T tokens. No token is sampled for a complete row.

    Args:
        decoder: decides which choices are legal, and how large T is.
        start: logits of the first token, and the first carry of `next_logits`, which is the cache of keys and values.
        next_logits: function of (carry, choices, step) that returns the logits after the token of slot `step`, and the
            carry with that token in it.
        key: source of randomness.
        temperature: temperature of the distribution, > 0.
        greedy: take the likeliest token instead; the log-probabilities are still those of the distribution.
    """
    logits, carry = start
    batch = logits.shape[0]
    choose = functools.partial(_choose, decoder, key=key, temperature=temperature, greedy=greedy)

    def unfinished(loop: _Loop) -> Bool[Array, ""]:
        return (loop.step < decoder.max_tokens) & ~jnp.all(decoder.is_complete(loop.state))

    def turn(loop: _Loop) -> _Loop:
        last = loop.step - 1
        logits, carry = next_logits(loop.carry, loop.samples.choices[:, last], last)
        return choose(dataclasses.replace(loop, carry=carry), logits)

    empty = TokenSamples.empty(batch, decoder.max_tokens)
    loop = _Loop(step=jnp.int32(0), state=decoder.start(batch), samples=empty, carry=carry)
    return jax.lax.while_loop(unfinished, turn, choose(loop, logits)).samples


def _choose(
    decoder: Decoder, loop: _Loop, logits: Float[Array, "B K"], *, key: Key, temperature: Scalar, greedy: bool
) -> _Loop:
    """Returns the loop after the token of slot `step`, which is chosen by the logits; see `sample`."""
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
    return dataclasses.replace(loop, step=loop.step + 1, state=decoder.advance(loop.state, choices), samples=samples)
