"""Constrains decoding by an automaton that permits only FAST tokens that lead to a decodable chunk.

Its state is (coefficients left, pending UTF-8 bytes, tokens left). A token is legal if three things hold. Its bytes
continue the pending bytes to whole characters of the coefficient range. These characters are at most the coefficients
left. The shortest completion after the token has at most the tokens left. So every sequence of legal tokens ends in
exactly H*D coefficients. The tables are numpy arrays, and the steps are pure functions of a batch for `jax.jit`. The
caller adds the forced tokens after completion, which are "|" and the end token.
"""

from __future__ import annotations

import flax.struct
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int, Int32, UInt

from chunk_ppo_ros.core_jax.arrays import AnyArray, Array
from chunk_ppo_ros.model.tokenization import fast_tokenizer
from chunk_ppo_ros.model.tokenization.byte_level_bpe import is_character
from chunk_ppo_ros.model.tokenization.fast_tokenizer import FastTokenizer

IMPOSSIBLE = 1 << 20
"""The number of tokens that means "cannot be completed". It is larger than any number of tokens that is allowed."""


@flax.struct.dataclass
class ConstraintState:
    """The automaton's state for each row of a batch. After an illegal token, coefficients_left stays negative.

    Attributes:
        coefficients_left: number of coefficients that are still to be written.
        pending: index of the unfinished UTF-8 bytes; 0 is none.
        tokens_left: number of tokens that may still be sampled.
    """

    coefficients_left: Int32[AnyArray, "*batch"]
    pending: Int32[AnyArray, "*batch"]
    tokens_left: Int32[AnyArray, "*batch"]


@flax.struct.dataclass
class FastConstraint:
    """Tables over F FAST tokens and P states of pending bytes, for M = horizon * action_dim coefficients.

    Attributes:
        num_coefficients: number of coefficients that the token completes; M + 1 where the token is not legal.
        next_pending: index of the bytes that are pending after the token.
        tokens_needed: the fewest tokens of a completion that begins with the token, where m of 0 .. M coefficients are
            left; more than max_tokens where there is none. One row of it decides which tokens are legal in a step.
        max_tokens: number of FAST tokens that are allowed in a chunk.
        total: M, the number of coefficients of a chunk.
    """

    num_coefficients: Int32[AnyArray, "P F"]
    next_pending: Int32[AnyArray, "P F"]
    tokens_needed: UInt[AnyArray, "P M1 F"]
    max_tokens: int = flax.struct.field(pytree_node=False)
    total: int = flax.struct.field(pytree_node=False)

    @classmethod
    def build(
        cls, tokenizer: FastTokenizer, *, horizon: int, action_dim: int, max_tokens: int, action_limit: float
    ) -> FastConstraint:
        """Returns the tables for chunks [horizon, action_dim] of at most `max_tokens` tokens.

        Coefficients are bounded by `coefficient_limit`, which all chunks within +-action_limit keep. A chunk that keeps
        it may have larger actions, up to `action_bound`.

        Raises:
            ValueError: where no sequence of `max_tokens` tokens makes a chunk.
        """
        total = horizon * action_dim
        limit = fast_tokenizer.coefficient_limit(scale=tokenizer.scale, horizon=horizon, action_limit=action_limit)
        codes = range(-limit - tokenizer.min_token, limit - tokenizer.min_token + 1)
        characters = frozenset(chr(code).encode() for code in codes if is_character(code))
        num_coefficients, next_pending = _walk_all(tokenizer.token_bytes, characters, total)
        return cls.from_moves(num_coefficients, next_pending, max_tokens=max_tokens, total=total)

    @classmethod
    def from_moves(
        cls,
        num_coefficients: Int32[np.ndarray, "P F"],
        next_pending: Int32[np.ndarray, "P F"],
        *,
        max_tokens: int,
        total: int,
    ) -> FastConstraint:
        """Returns the tables of an automaton whose moves are known.

        Args:
            num_coefficients: see the attribute of that name.
            next_pending: see the attribute of that name.
            max_tokens: number of FAST tokens that are allowed in a chunk.
            total: M, the number of coefficients of a chunk.

        Raises:
            ValueError: where no sequence of `max_tokens` tokens makes `total` coefficients.
        """
        cost = min_tokens(num_coefficients, next_pending, total)
        fewest = int(cost[0, total])
        if fewest > max_tokens:
            least = "no number of tokens" if fewest >= IMPOSSIBLE else f"at least {fewest} tokens"
            raise ValueError(
                f"max_tokens must allow a whole chunk, got {max_tokens}, but {least} of this FAST tokenizer can make "
                f"{total} coefficients in range; raise max_action_tokens or fit another tokenizer"
            )
        needed = _tokens_needed(num_coefficients, next_pending, cost, most=max_tokens + 1)
        return cls(num_coefficients, next_pending, needed, max_tokens=max_tokens, total=total)

    @property
    def num_fast(self) -> int:
        """The number F of FAST tokens."""
        return int(self.num_coefficients.shape[1])

    def start(self, batch: int) -> ConstraintState:
        """Returns the state before the first token, for each row."""
        return ConstraintState(
            coefficients_left=jnp.full((batch,), self.total, jnp.int32),
            pending=jnp.zeros((batch,), jnp.int32),
            tokens_left=jnp.full((batch,), self.max_tokens, jnp.int32),
        )

    def legal_tokens(self, state: ConstraintState) -> Bool[Array, "... F"]:
        """Returns which tokens may come next. No token may after a complete chunk or an illegal token."""
        left = jnp.clip(state.coefficients_left, 0, self.total)
        return jnp.asarray(self.tokens_needed)[state.pending, left] <= state.tokens_left[..., None]

    def advance(self, state: ConstraintState, fast_ids: Int[AnyArray, "*batch"]) -> ConstraintState:
        """Returns the state after one token of each row. Complete rows stay as they are, whatever their token.

        A token whose bytes are illegal counts more coefficients than a chunk has, so that no later token is legal.
        """
        here = (state.pending, fast_ids)
        moved = ConstraintState(
            coefficients_left=state.coefficients_left - jnp.asarray(self.num_coefficients)[here],
            pending=jnp.asarray(self.next_pending)[here],
            tokens_left=state.tokens_left - 1,
        )
        complete = self.is_complete(state)
        return ConstraintState(
            coefficients_left=jnp.where(complete, 0, moved.coefficients_left),
            pending=jnp.where(complete, 0, moved.pending),
            tokens_left=jnp.where(complete, state.tokens_left, moved.tokens_left),
        )

    def is_complete(self, state: ConstraintState) -> Bool[AnyArray, "..."]:
        """Returns whether each row's tokens stand for exactly H*D coefficients."""
        return (state.coefficients_left == 0) & (state.pending == 0)


def _walk(
    token: bytes, pending: bytes, characters: frozenset[bytes], prefixes: frozenset[bytes]
) -> tuple[int, bytes] | None:
    """Returns the number of characters that a token completes after pending bytes, and the bytes pending then.

    It returns None where the token is not legal.
    """
    completed = 0
    for byte in token:
        pending += bytes([byte])
        if pending in characters:
            completed, pending = completed + 1, b""
        elif pending not in prefixes:
            return None
    return completed, pending


def _walk_all(
    tokens: tuple[bytes | None, ...], characters: frozenset[bytes], total: int
) -> tuple[Int32[np.ndarray, "P F"], Int32[np.ndarray, "P F"]]:
    """Returns num_coefficients and next_pending of the reachable states. State 0 has no bytes pending."""
    prefixes = frozenset(char[:end] for char in characters for end in range(1, len(char)))
    pending = [b""]
    rows = []
    for here in pending:  # The loop itself appends to `pending`.
        walked = [_walk(token, here, characters, prefixes) if token else None for token in tokens]
        pending += sorted({step[1] for step in walked if step} - set(pending))
        rows.append(
            [(step[0], pending.index(step[1])) if step and step[0] <= total else (total + 1, 0) for step in walked]
        )
    table = np.array(rows, np.int32)
    return table[..., 0], table[..., 1]


def min_tokens(
    num_coefficients: Int32[np.ndarray, "P F"], next_pending: Int32[np.ndarray, "P F"], total: int
) -> Int32[np.ndarray, "P {total}+1"]:
    """Returns the fewest tokens that complete m coefficients from a pending state, or IMPOSSIBLE.

    cost(p, m) = 1 + min over tokens of cost(next, m - n), with cost(nothing pending, 0) = 0. A token that completes no
    coefficient leaves m as it is. So the costs of one m are computed repeatedly, as often as there are pending states,
    after which they do not fall any more.
    """
    num_states = len(num_coefficients)
    cost = np.full((num_states, total + 1), IMPOSSIBLE, np.int32)
    cost[0, 0] = 0
    moves = [np.unique(np.stack(pair), axis=1) for pair in zip(num_coefficients, next_pending, strict=True)]
    for left in range(total + 1):
        for _ in range(num_states):
            for state, (completed, after) in enumerate(moves):
                usable = completed <= left
                best = 1 + np.min(cost[after[usable], left - completed[usable]], initial=IMPOSSIBLE)
                cost[state, left] = min(cost[state, left], best)
    return cost


def _tokens_needed(
    num_coefficients: Int32[np.ndarray, "P F"],
    next_pending: Int32[np.ndarray, "P F"],
    cost: Int32[np.ndarray, "P M1"],
    *,
    most: int,
) -> UInt[np.ndarray, "P M1 F"]:
    """Returns 1 + cost(next, m - n) of each token for each m; `most` where it is more or the token is not legal."""
    left = np.arange(cost.shape[1])[:, None]
    dtype = np.min_scalar_type(most)
    rows = [
        np.where(n <= left, np.minimum(1 + cost[after, np.maximum(left - n, 0)], most), most).astype(dtype)
        for n, after in zip(num_coefficients, next_pending, strict=True)
    ]
    return np.stack(rows)
