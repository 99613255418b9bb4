"""Tests the decoding constraint against tables derived by hand, brute force and real encodings.

Long runs by random and hostile choices are in `test_automaton_runs.py`.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tokenizers

from chunk_ppo_ros.model.tokenization.automaton import IMPOSSIBLE, FastConstraint, min_tokens
from chunk_ppo_ros.model.tokenization.byte_level_bpe import byte_of_symbol
from chunk_ppo_ros.model.tokenization.fast_tokenizer import FastTokenizer
from support.published import fast_folder

H, D = 16, 14


def by_hand(*tokens: bytes, min_token: int) -> FastTokenizer:
    """Returns a tokenizer of exactly these tokens, with scale 1."""
    symbols = {byte: symbol for symbol, byte in byte_of_symbol().items()}
    vocab = {"".join(symbols[byte] for byte in token): index for index, token in enumerate(tokens)}
    return FastTokenizer(bpe=tokenizers.Tokenizer(tokenizers.models.BPE(vocab, [])), scale=1, min_token=min_token)


# Coefficient c is the character of code point 128 + c. So -1 is 7f, 0 is c2 80, and 1 is c2 81. The coefficient -2 (7e)
# is out of range.
FIVE = (b"\x7f", b"\xc2", b"\x80", b"\x81\xc2", b"\xc2\x80\x7f\x7f")


def build_by_hand(*extra: bytes, max_tokens: int) -> FastConstraint:
    """Builds the constraint for H = 1, D = 3 and the limit ceil(1 * sqrt(1) * 1) = 1."""
    tokenizer = by_hand(*FIVE, *extra, min_token=-128)
    return FastConstraint.build(tokenizer, horizon=1, action_dim=3, max_tokens=max_tokens, action_limit=1.0)


def smooth_chunks(key: int, num: int) -> np.ndarray:
    """Returns normalized minimum-jerk ramps [num, H, D] of six joints. The other dimensions stay at a constant."""
    rng = np.random.default_rng(key)
    time = np.clip(np.linspace(0, 1, H) / rng.uniform(0.5, 1.5, (num, 1)), 0, 1)
    ramp = 10 * time**3 - 15 * time**4 + 6 * time**5
    size = np.where(np.arange(D) % 7 < 3, rng.uniform(-1.4, 1.4, (num, D)), 0)
    return ramp[:, :, None] * size[:, None, :]


def published_tokenizer() -> FastTokenizer:
    return FastTokenizer.load(fast_folder())


def fitted_tokenizer() -> FastTokenizer:
    """Returns a fitted tokenizer.

    Scale 20 makes 241 characters, half of which have two bytes, so that bytes can be pending here too.
    """
    return FastTokenizer.fit(smooth_chunks(0, 500), vocab_size=512, scale=20)


TOKENIZERS = {"published": (published_tokenizer, 98), "fitted": (fitted_tokenizer, 60)}


def test_tables_of_a_tokenizer_made_by_hand() -> None:
    constraint = build_by_hand(max_tokens=4)
    # With nothing pending, 7f completes one and c2 stays pending. Tokens 80 and 81 c2 cannot begin, and c2 80 7f 7f
    # completes three. With c2 pending, 80 completes one, 81 c2 completes one and leaves c2, and the others do not
    # continue. The number 4 = M + 1 marks illegal tokens.
    np.testing.assert_array_equal(constraint.num_coefficients, [[1, 0, 4, 4, 3], [4, 4, 1, 1, 4]])
    np.testing.assert_array_equal(constraint.next_pending, [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0]])
    # From c2 each coefficient costs one token (80, then 7f), and it cannot stop there. From nothing pending 7f costs
    # one each, and three come at once with the fifth token.
    cost = min_tokens(constraint.num_coefficients, constraint.next_pending, 3)
    np.testing.assert_array_equal(cost, [[0, 1, 2, 1], [IMPOSSIBLE, 1, 2, 3]])
    # A token costs itself and what comes after it, and 5 stands for more than the budget of 4. With one coefficient
    # left 7f ends the chunk, c2 needs one more, and c2 80 7f 7f is too much. With c2 pending 80 ends it, and 81 c2 does
    # not.
    np.testing.assert_array_equal(constraint.tokens_needed[:, 1], [[1, 2, 5, 5, 5], [5, 5, 1, 5, 5]])
    # Of three coefficients, 7f leaves two at two tokens, and c2 needs three more tokens. With c2 pending, 80 leaves two
    # coefficients, and 81 c2 leaves two that need two tokens after c2.
    np.testing.assert_array_equal(constraint.tokens_needed[:, 3], [[3, 4, 5, 5, 1], [5, 5, 3, 3, 5]])
    assert (constraint.tokens_needed[:, 0] == 5).all()  # nothing follows a complete chunk


@pytest.mark.parametrize(("max_tokens", "legal"), [(4, [0, 1, 4]), (3, [0, 4]), (2, [4]), (1, [4])])
def test_first_tokens_within_a_budget(max_tokens: int, legal: list[int]) -> None:
    # After 7f two more tokens are needed (3 in all), after c2 three more (4 in all), after the fifth none.
    constraint = build_by_hand(max_tokens=max_tokens)
    np.testing.assert_array_equal(np.flatnonzero(constraint.legal_tokens(constraint.start(1))[0]), legal)


@pytest.mark.parametrize(
    ("each", "total", "least"),
    [(1, 5, "at least 5 tokens"), (2, 6, "at least 3 tokens"), (2, 5, "no number of tokens")],
)
def test_a_budget_that_holds_no_chunk_is_refused(each: int, total: int, least: str) -> None:
    """Every token completes `each` coefficients and leaves nothing pending."""
    moves, pending = np.full((1, 3), each, np.int32), np.zeros((1, 3), np.int32)
    with pytest.raises(ValueError, match=f"must allow a whole chunk, got 2, but {least} .* make {total} coefficients"):
        FastConstraint.from_moves(moves, pending, max_tokens=2, total=total)


def test_steps_by_hand() -> None:
    constraint = build_by_hand(max_tokens=4)
    state = constraint.start(2)
    for ids, left, pending in [((1, 4), (3, 0), (1, 0)), ((3, 0), (2, 0), (1, 0)), ((2, 2), (1, 0), (0, 0))]:
        state = constraint.advance(state, jnp.array(ids))
        np.testing.assert_array_equal(state.coefficients_left, left)
        np.testing.assert_array_equal(state.pending, pending)
    np.testing.assert_array_equal(state.tokens_left, [1, 3])  # the second row was complete after its first token
    np.testing.assert_array_equal(constraint.legal_tokens(state), [[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(constraint.is_complete(state), [False, True])


def test_an_illegal_token_leaves_for_good() -> None:
    constraint = build_by_hand(max_tokens=8)
    state = constraint.advance(constraint.start(1), jnp.array([2]))
    for _ in range(4):
        assert not constraint.is_complete(state)[0]
        assert not constraint.legal_tokens(state).any()
        state = constraint.advance(state, jnp.array([0]))


def test_walks_are_exactly_the_decodable_chunks() -> None:
    """Sequences of up to four of six tokens are legal and complete if and only if they decode.

    One token is out of range.
    """
    constraint = build_by_hand(b"\x7e", max_tokens=4)
    tokenizer = by_hand(*FIVE, b"\x7e", min_token=-128)
    found = 0
    for length in range(1, 5):
        walks = np.array(list(itertools.product(range(6), repeat=length)))
        state, legal = constraint.start(len(walks)), np.ones(len(walks), bool)
        for ids in walks.T:
            legal &= np.asarray(constraint.legal_tokens(state))[np.arange(len(walks)), ids]
            state = constraint.advance(state, jnp.asarray(ids))
        decoded = [tokenizer.decode(walk, horizon=1, action_dim=3) for walk in walks]
        expected = [chunk.valid and bool(np.all(np.abs(chunk.actions) <= 1)) for chunk in decoded]
        np.testing.assert_array_equal(legal & np.asarray(constraint.is_complete(state)), expected)
        found += sum(expected)
    # 4, 000, 0012, 0120, 1200, 0132, 1320 and 1332: "12" is one coefficient, "132" two, "1332" three.
    assert found == 8


def test_build_refuses_a_budget_that_fits_no_chunk() -> None:
    tokenizer = by_hand(b"\x7f", min_token=-128)
    with pytest.raises(ValueError, match="got 2, but at least 3 tokens"):
        FastConstraint.build(tokenizer, horizon=1, action_dim=3, max_tokens=2, action_limit=1.0)
    with pytest.raises(ValueError, match="no number of tokens"):
        FastConstraint.build(by_hand(b"\xc2", min_token=-128), horizon=1, action_dim=3, max_tokens=9, action_limit=1.0)


def test_surrogates_have_no_character() -> None:
    # Codes d7ff, d800, d801: the last two are surrogates, whose bytes ed a0 8x are not UTF-8.
    tokenizer = by_hand(b"\xed\x9f\xbf", b"\xed\xa0\x80", b"\xed", b"\xa0\x80", min_token=-0xD800)
    constraint = FastConstraint.build(tokenizer, horizon=1, action_dim=1, max_tokens=3, action_limit=1.0)
    legal = constraint.num_coefficients <= 1
    np.testing.assert_array_equal(legal[0], [True, False, True, False])
    assert not legal[1:, 3].any()
    assert not tokenizer.decode([1], horizon=1, action_dim=1).valid


def test_a_character_of_three_bytes_costs_its_bytes() -> None:
    # The code d7ff is ed 9f bf. It needs three tokens from nothing, two after ed, and one after ed 9f. Shorter pending
    # bytes cost more.
    tokenizer = by_hand(b"\xed", b"\x9f", b"\xbf", min_token=-0xD800)
    constraint = FastConstraint.build(tokenizer, horizon=1, action_dim=1, max_tokens=3, action_limit=1.0)
    np.testing.assert_array_equal(min_tokens(constraint.num_coefficients, constraint.next_pending, 1)[:, 1], [3, 2, 1])
    np.testing.assert_array_equal(constraint.tokens_needed[:, 1], [[3, 4, 4], [4, 2, 4], [4, 4, 1]])


def test_special_tokens_are_illegal() -> None:
    tokenizer = by_hand(b"\x7f", b"\x80", min_token=-128)
    tokenizer.bpe.add_special_tokens(["\x7f"])
    assert tokenizer.vocab_size == 3
    constraint = FastConstraint.build(tokenizer, horizon=1, action_dim=3, max_tokens=3, action_limit=1.0)
    np.testing.assert_array_equal(constraint.num_coefficients <= 3, [[True, False, False]])


@pytest.mark.parametrize("name", TOKENIZERS)
def test_real_encodings_are_legal(name: str) -> None:
    make, max_tokens = TOKENIZERS[name]
    tokenizer = make()
    constraint = FastConstraint.build(tokenizer, horizon=H, action_dim=D, max_tokens=max_tokens, action_limit=1.5)
    encoded = [tokenizer.encode(chunk) for chunk in smooth_chunks(1, 50)]
    longest = max(map(len, encoded))
    assert longest <= max_tokens
    padded = np.array([ids + [0] * (longest - len(ids)) for ids in encoded])
    state = constraint.start(len(padded))
    legal_tokens, advance = jax.jit(constraint.legal_tokens), jax.jit(constraint.advance)
    for position, ids in enumerate(padded.T):
        used = np.array([position < len(row) for row in encoded])
        assert np.asarray(legal_tokens(state))[np.arange(len(padded)), ids][used].all()
        state = advance(state, jnp.asarray(ids))
    assert np.asarray(constraint.is_complete(state)).all()


def test_tables_pass_through_jit_as_an_argument() -> None:
    constraint = build_by_hand(max_tokens=4)
    legal = jax.jit(lambda tables, state: tables.legal_tokens(state))(constraint, constraint.start(3))
    np.testing.assert_array_equal(legal, constraint.legal_tokens(constraint.start(3)))
