"""Tests how the nats of FAST tokens are shared among the coefficients that the tokens stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunk_ppo_ros.imitation.measuring.coefficient_nats import FastPrefixes, coefficient_nats
from support import small_policy

TOKENS = [b"a", b"b", b"ab", b"ac", b"abd", None]
PREFIXES = FastPrefixes.of(TOKENS)
LOG_PROBS = np.log([0.1, 0.2, 0.3, 0.25, 0.15, 1e-30])


def test_the_nats_of_a_token_by_the_chain_rule() -> None:
    """Tokens that begin with "a" have 0.1 + 0.3 + 0.25 + 0.15 = 0.8, and those with "ab" have 0.3 + 0.15 = 0.45.

    Of these the token itself has 0.3, and the rest is that "d" does not follow.
    """
    expected = -np.log([0.8, 0.45 / 0.8, 0.3 / 0.45])
    np.testing.assert_allclose(PREFIXES.byte_nats(LOG_PROBS, 2), expected, atol=1e-12)


def test_the_nats_of_ending_belong_to_the_next_coefficient() -> None:
    """The coefficients are a, b and b, of which the tokens "ab" and "b" take two and one."""
    nats = coefficient_nats(PREFIXES, [2, 1], np.stack([LOG_PROBS, LOG_PROBS]), num_coefficients=3)
    ending, last = -np.log(0.3 / 0.45), -np.log(0.2)
    np.testing.assert_allclose(nats, [-np.log(0.8), -np.log(0.45 / 0.8), ending + last], atol=1e-12)
    # At the end of the chunk nothing follows, and the last coefficient takes them.
    (first, second) = coefficient_nats(PREFIXES, [2], LOG_PROBS[None], num_coefficients=2)
    assert (first, second) == pytest.approx((-np.log(0.8), -np.log(0.45 / 0.8) + ending))


def test_a_character_of_several_bytes_is_one_coefficient() -> None:
    """The bytes of "\u00e4" are in two tokens, and both belong to it."""
    first, second = "\u00e4".encode()
    prefixes = FastPrefixes.of([bytes([first]), bytes([second]), b"x"])
    log_probs = np.log([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    nats = coefficient_nats(prefixes, [0, 1, 2], log_probs, num_coefficients=2)
    np.testing.assert_allclose(nats, -np.log([0.5 * 0.8, 0.6]), atol=1e-12)


def test_a_joint_that_is_certain_has_no_nats_in_a_token_that_it_shares_with_a_hard_one() -> None:
    """Tokens stand for both joints of a step: the first is always "e", the second one of four."""
    prefixes = FastPrefixes.of([b"ew", b"ex", b"ey", b"ez", b"q"])
    log_probs = np.log([0.25, 0.25, 0.25, 0.25, 1e-12])
    nats = coefficient_nats(prefixes, [1, 3], np.stack([log_probs] * 2), num_coefficients=4)
    np.testing.assert_allclose(nats, [0.0, np.log(4), 0.0, np.log(4)], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sharpness=st.sampled_from([0.1, 3.0, 200.0]))
def test_the_shares_add_up_to_the_nats_of_the_tokens(seed: int, sharpness: float) -> None:
    """Also where nearly all probability is on other tokens, which would underflow."""
    tokenizer, random = small_policy.make_tokenizer(), np.random.default_rng(seed)
    model = tokenizer.config
    ids = tokenizer.fast.encode(random.uniform(-1, 1, (model.action_horizon, model.action_dim)))
    logits = sharpness * random.normal(size=(len(ids), tokenizer.fast.vocab_size))
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    prefixes = FastPrefixes.of(tokenizer.fast.token_bytes)
    nats = coefficient_nats(prefixes, ids, log_probs, num_coefficients=model.action_horizon * model.action_dim)
    assert nats.sum() == pytest.approx(-log_probs[np.arange(len(ids)), ids].sum(), rel=1e-9)
    assert nats.min() > -1e-9
