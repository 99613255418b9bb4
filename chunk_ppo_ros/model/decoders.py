"""What may be sampled after "Action: ", and when a row is complete: constrained to decodable chunks, or free.

Both decoders offer the same few functions of a batch, so that sampling and scoring (`decoding.py`) need not know which
one they serve. What is sampled is a choice: a FAST id in the one, a model id in the other.
Shape letters: B batch, T action-token slots, K choices, F FAST tokens, V vocabulary, W decoder width.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol, TypeAlias, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, Int32

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core_jax.arrays import Array, Tree
from chunk_ppo_ros.model.tokenization.automaton import ConstraintState, FastConstraint
from chunk_ppo_ros.model.tokenization.token_ids import FORCED_TAIL, TokenIds

State: TypeAlias = Tree
"""Where each row stands; what it is made of is the decoder's own."""


@runtime_checkable
class Decoder(Protocol):
    """The rules of one way of decoding; states are pytrees with equal leading axes."""

    @property
    def max_tokens(self) -> int:
        """Most tokens that a row samples, at most T."""

    def output_rows(self, table: Float[Array, "V W"]) -> Float[Array, "K W"]:
        """Returns the rows of the embedding table that hidden states are scored by, in the order of the choices."""

    def to_model(self, choices: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """Returns the model ids of choices."""

    def to_choices(self, model_ids: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """Returns the choices of model ids; any choice where the id is none."""

    def start(self, batch: int) -> State:
        """Returns the state before the first token, with leaves [B]."""

    def legal(self, state: State) -> Bool[Array, "... #K"]:
        """Returns which choices may come next, for a state with leaves [...]; broadcasts to [..., K]."""

    def advance(self, state: State, choices: Int[Array, "B"]) -> State:
        """Returns the state after one choice of each row; complete rows stay as they are."""

    def is_complete(self, state: State) -> Bool[Array, "B"]:
        """Returns whether each row samples no more."""

    def close(self, tokens: Int[Array, "B T"], mask: Bool[Array, "B T"]) -> Int32[Array, "B T"]:
        """Returns model ids: the sampled ones, which are those under `mask`, what is forced after them, and then 0."""


@dataclasses.dataclass(frozen=True)
class ConstrainedDecoder:
    """FAST tokens that lead to a decodable chunk; "|" and the end token follow unsampled.

    Attributes:
        constraint: what makes a FAST token legal.
        token_ids: places of the tokens in the vocabulary.
    """

    constraint: FastConstraint
    token_ids: TokenIds

    @property
    def max_tokens(self) -> int:
        """See `Decoder`; `FORCED_TAIL` less than T."""
        return self.constraint.max_tokens

    def output_rows(self, table: Float[Array, "V W"]) -> Float[Array, "F W"]:
        """Returns the rows of the FAST tokens."""
        last = self.token_ids.to_model(0) + 1
        return table[last - self.token_ids.num_fast : last][::-1]

    def to_model(self, choices: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """See `Decoder`."""
        return self.token_ids.to_model(choices)

    def to_choices(self, model_ids: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """See `Decoder`; it is the nearest FAST id where the model id is none."""
        return jnp.clip(self.token_ids.to_fast(model_ids), 0, self.token_ids.num_fast - 1)

    def start(self, batch: int) -> ConstraintState:
        """See `Decoder`."""
        return self.constraint.start(batch)

    def legal(self, state: ConstraintState) -> Bool[Array, "... F"]:
        """See `Decoder`."""
        return jnp.asarray(self.constraint.legal_tokens(state))

    def advance(self, state: ConstraintState, choices: Int[Array, "B"]) -> ConstraintState:
        """See `Decoder`."""
        return self.constraint.advance(state, choices)

    def is_complete(self, state: ConstraintState) -> Bool[Array, "B"]:
        """See `Decoder`."""
        return jnp.asarray(self.constraint.is_complete(state))

    def close(self, tokens: Int[Array, "B T"], mask: Bool[Array, "B T"]) -> Int32[Array, "B T"]:
        """Returns the FAST tokens, "|", the end token and pads."""
        length = jnp.sum(mask, axis=1, keepdims=True)
        slot = jnp.arange(mask.shape[1])
        after = jnp.where(slot == length, self.token_ids.bar, jnp.where(slot == length + 1, self.token_ids.end, 0))
        return jnp.where(mask, tokens, after).astype(jnp.int32)


@dataclasses.dataclass(frozen=True)
class FreeDecoder:
    """Any token of the vocabulary, until "|", the end token, or the last slot: openpi's decoding, stopped per row.

    A state is bool [B], whether the row has stopped. The stopping token is sampled and scored like the others.

    Attributes:
        token_ids: places of the tokens in the vocabulary.
        max_tokens: T.
    """

    token_ids: TokenIds
    max_tokens: int

    def output_rows(self, table: Float[Array, "V W"]) -> Float[Array, "V W"]:
        """Returns all rows."""
        return table

    def to_model(self, choices: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """Returns the choices themselves."""
        return choices

    def to_choices(self, model_ids: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """Returns the model ids themselves."""
        return model_ids

    def start(self, batch: int) -> Bool[Array, "B"]:
        """Returns that no row has stopped."""
        return jnp.zeros((batch,), bool)

    def legal(self, state: Bool[Array, "*batch"]) -> Bool[Array, "1"]:
        """Returns that every choice may come next."""
        return jnp.ones((1,), bool)

    def advance(self, state: Bool[Array, "B"], choices: Int[Array, "B"]) -> Bool[Array, "B"]:
        """See `Decoder`."""
        return state | (choices == self.token_ids.bar) | (choices == self.token_ids.end)

    def is_complete(self, state: Bool[Array, "B"]) -> Bool[Array, "B"]:
        """See `Decoder`."""
        return state

    def close(self, tokens: Int[Array, "B T"], mask: Bool[Array, "B T"]) -> Int32[Array, "B T"]:
        """Returns the sampled tokens and pads behind them; nothing is forced."""
        return jnp.where(mask, tokens, 0).astype(jnp.int32)


def make_decoder(
    config: Pi0FASTActorCriticConfig, token_ids: TokenIds, constraint: FastConstraint | None
) -> ConstrainedDecoder | FreeDecoder:
    """The decoder of a configuration.

    Args:
        config: says whether decoding is constrained.
        token_ids: places of the tokens in the vocabulary.
        constraint: of constrained decoding; None for free decoding.

    Raises:
        ValueError: where the parts were made for different configurations.
    """
    _require("token_ids.vocab_size", token_ids.vocab_size, config.vocab_size, "model.vocab_size")
    if not config.constrain_decoding:
        _require("constraint", constraint, None, "model.constrain_decoding is false")
        return FreeDecoder(token_ids, config.max_action_tokens)
    if constraint is None:
        raise ValueError("constraint must be given where model.constrain_decoding is true, got None; build it")
    _require("the constraint's FAST tokens", constraint.num_fast, token_ids.num_fast, "token_ids.num_fast")
    source = f"model.max_action_tokens less {FORCED_TAIL} forced ones"
    _require("constraint.max_tokens", constraint.max_tokens, config.max_action_tokens - FORCED_TAIL, source)
    total = config.action_horizon * config.action_dim
    _require("constraint.total", constraint.total, total, "model.action_horizon * model.action_dim")
    return ConstrainedDecoder(constraint, token_ids)


def _require(what: str, value: object, expected: object, source: str) -> None:
    if value != expected:
        raise ValueError(f"{what} must be {expected} ({source}), got {value}; build both from one configuration")
