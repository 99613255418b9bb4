"""Decides which tokens may follow "Action: ", and when a row is complete.

There are two decoders. One permits only tokens that lead to a decodable chunk, and the other permits every token. Both
have the same functions of a batch, so that sampling and scoring (`decoding.py`) work with either. The number that is
sampled is called a choice. It is a FAST id in the constrained decoder, and a model id in the free one.
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
"""The state of each row of a batch while it is decoded. Each decoder has its own type of state."""


@runtime_checkable
class Decoder(Protocol):
    """The rules of one way of decoding. States are pytrees with equal leading axes."""

    @property
    def max_tokens(self) -> int:
        """The largest number of tokens that are sampled for a row, at most T."""

    def output_rows(self, table: Float[Array, "V W"]) -> Float[Array, "K W"]:
        """Returns the rows of the embedding table that give the logits of the choices, in the order of the choices."""

    def to_model(self, choices: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """Returns the model ids of choices."""

    def to_choices(self, model_ids: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """Returns the choices of model ids. An id that is no choice gives an arbitrary one."""

    def start(self, batch: int) -> State:
        """Returns the state before the first token, with leaves [B]."""

    def legal(self, state: State) -> Bool[Array, "... #K"]:
        """Returns which choices may come next, for a state with leaves [...]; broadcasts to [..., K]."""

    def advance(self, state: State, choices: Int[Array, "B"]) -> State:
        """Returns the state after one choice of each row. Complete rows stay as they are."""

    def is_complete(self, state: State) -> Bool[Array, "B"]:
        """Returns true for each row for which no more token is sampled."""

    def close(self, tokens: Int[Array, "B T"], mask: Bool[Array, "B T"]) -> Int32[Array, "B T"]:
        """Returns the model ids of whole rows: the tokens where `mask` is true, then the forced tokens, then 0."""


@dataclasses.dataclass(frozen=True)
class ConstrainedDecoder:
    """Permits only FAST tokens that lead to a decodable chunk. "|" and the end token follow without being sampled.

    Attributes:
        constraint: the automaton that decides which FAST tokens are legal.
        token_ids: the ids of the tokens in the model's vocabulary.
    """

    constraint: FastConstraint
    token_ids: TokenIds

    @property
    def max_tokens(self) -> int:
        """The largest number of tokens that are sampled for a row, which is T - `FORCED_TAIL`."""
        return self.constraint.max_tokens

    def output_rows(self, table: Float[Array, "V W"]) -> Float[Array, "F W"]:
        """Returns the rows of the embedding table that belong to the FAST tokens, in the order of the FAST ids."""
        last = self.token_ids.to_model(0) + 1
        return table[last - self.token_ids.num_fast : last][::-1]

    def to_model(self, choices: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """Returns the model ids of FAST ids."""
        return self.token_ids.to_model(choices)

    def to_choices(self, model_ids: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """Returns the FAST ids of model ids. A model id that is no action token gives the nearest FAST id."""
        return jnp.clip(self.token_ids.to_fast(model_ids), 0, self.token_ids.num_fast - 1)

    def start(self, batch: int) -> ConstraintState:
        """Returns the state before the first token, for each row."""
        return self.constraint.start(batch)

    def legal(self, state: ConstraintState) -> Bool[Array, "... F"]:
        """Returns which FAST tokens may come next in each row."""
        return jnp.asarray(self.constraint.legal_tokens(state))

    def advance(self, state: ConstraintState, choices: Int[Array, "B"]) -> ConstraintState:
        """Returns the state after one FAST token of each row. Complete rows stay as they are."""
        return self.constraint.advance(state, choices)

    def is_complete(self, state: ConstraintState) -> Bool[Array, "B"]:
        """Returns true for each row whose tokens make a whole chunk."""
        return jnp.asarray(self.constraint.is_complete(state))

    def close(self, tokens: Int[Array, "B T"], mask: Bool[Array, "B T"]) -> Int32[Array, "B T"]:
        """Returns the model ids of whole rows: the FAST tokens, "|", the end token, and then 0."""
        length = jnp.sum(mask, axis=1, keepdims=True)
        slot = jnp.arange(mask.shape[1])
        after = jnp.where(slot == length, self.token_ids.bar, jnp.where(slot == length + 1, self.token_ids.end, 0))
        return jnp.where(mask, tokens, after).astype(jnp.int32)


@dataclasses.dataclass(frozen=True)
class FreeDecoder:
    """Permits any token of the vocabulary until "|", the end token, or the last slot.

    This is openpi's decoding, but each row stops by itself. A state is bool [B], which is true where the row has
    stopped. The token at which a row stops is sampled and scored like the others.

    Attributes:
        token_ids: the ids of the tokens in the model's vocabulary.
        max_tokens: T, the number of action-token slots.
    """

    token_ids: TokenIds
    max_tokens: int

    def output_rows(self, table: Float[Array, "V W"]) -> Float[Array, "V W"]:
        """Returns all rows of the embedding table."""
        return table

    def to_model(self, choices: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """Returns the choices themselves."""
        return choices

    def to_choices(self, model_ids: Int[Array, "*batch"]) -> Int[Array, "*batch"]:
        """Returns the model ids themselves."""
        return model_ids

    def start(self, batch: int) -> Bool[Array, "B"]:
        """Returns false for each row, because no row has stopped."""
        return jnp.zeros((batch,), bool)

    def legal(self, state: Bool[Array, "*batch"]) -> Bool[Array, "1"]:
        """Returns true, because every choice may come next in every row."""
        return jnp.ones((1,), bool)

    def advance(self, state: Bool[Array, "B"], choices: Int[Array, "B"]) -> Bool[Array, "B"]:
        """Returns the state after one choice of each row. A row stops at "|" and at the end token, and stays so."""
        return state | (choices == self.token_ids.bar) | (choices == self.token_ids.end)

    def is_complete(self, state: Bool[Array, "B"]) -> Bool[Array, "B"]:
        """Returns true for each row that has stopped."""
        return state

    def close(self, tokens: Int[Array, "B T"], mask: Bool[Array, "B T"]) -> Int32[Array, "B T"]:
        """Returns the sampled tokens, and then 0. No token is forced."""
        return jnp.where(mask, tokens, 0).astype(jnp.int32)


def make_decoder(
    config: Pi0FASTActorCriticConfig, token_ids: TokenIds, constraint: FastConstraint | None
) -> ConstrainedDecoder | FreeDecoder:
    """Returns the decoder of a configuration.

    Args:
        config: says whether decoding is constrained.
        token_ids: the ids of the tokens in the model's vocabulary.
        constraint: the automaton of constrained decoding; None for free decoding.

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
