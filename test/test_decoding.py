"""Tests sampling from logits made by hand.

Each row stops by itself, and the rows of choices mean the masked full vocabulary.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.model import decoding
from chunk_ppo_ros.model.decoders import ConstrainedDecoder, Decoder, FreeDecoder, make_decoder
from chunk_ppo_ros.model.tokenization.automaton import FastConstraint
from chunk_ppo_ros.model.tokenization.token_ids import TokenIds
from support.seen_values import SeenValues

NUM_FAST, SKIP, VOCAB_SIZE = 6, 3, 20
BAR, END = 7, 1
TOKEN_IDS = TokenIds(VOCAB_SIZE, num_fast=NUM_FAST, skip=SKIP, action_prefix=(5,), bar=BAR, end=END)
MAX_TOKENS, TOTAL = 6, 9

# FAST ids 0, 1, 2 complete 1, 2, 3 coefficients. Id 3 leaves a byte pending, which id 4 completes with one coefficient.
# Id 5 can never come.
NEVER = TOTAL + 1
CONSTRAINT = FastConstraint.from_moves(
    np.array([[1, 2, 3, 0, NEVER, NEVER], [NEVER, NEVER, NEVER, NEVER, 1, NEVER]], np.int32),
    np.array([[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]], np.int32),
    max_tokens=MAX_TOKENS,
    total=TOTAL,
)
CONSTRAINED = ConstrainedDecoder(CONSTRAINT, TOKEN_IDS)
FREE = FreeDecoder(TOKEN_IDS, max_tokens=MAX_TOKENS + 2)


def sampler(decoder: Decoder, *, greedy: bool = False) -> Callable[[jax.Array, jax.Array], decoding.TokenSamples]:
    """Returns a compiled function that takes the logits [T, B, K] of all steps and a key, and returns samples."""

    def run(logits: jax.Array, key: jax.Array) -> decoding.TokenSamples:
        def next_logits(carry: None, choices: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            return logits[step + 1], carry

        return decoding.sample(decoder, (logits[0], None), next_logits, key=key, temperature=1.0, greedy=greedy)

    return jax.jit(run)


def sample(decoder: Decoder, logits: jax.Array, *, greedy: bool = False) -> decoding.TokenSamples:
    return sampler(decoder, greedy=greedy)(logits, jax.random.key(0))


def score(
    decoder: Decoder, logits: jax.Array, choices: jax.Array, mask: jax.Array, *, temperature: float = 1.0
) -> tuple[jax.Array, jax.Array]:
    """Returns the scores under logits [T, B, K], which `sampler` takes in the same form."""
    run = jax.jit(functools.partial(decoding.score, decoder, temperature=temperature))
    return run(logits.transpose(1, 0, 2), choices, mask)


def random_logits(decoder: Decoder, *, batch: int, seed: int = 0) -> jax.Array:
    choices = len(decoder.output_rows(jnp.zeros((VOCAB_SIZE, 1))))
    return 2 * jax.random.normal(jax.random.key(seed), (decoder.max_tokens, batch, choices))


def wanting(decoder: Decoder, rows: list[list[int]]) -> jax.Array:
    """Returns logits under which row b most wants the choices rows[b], one a step.

    It wants the last choice again and again.
    """
    wanted = np.array([[row[min(step, len(row) - 1)] for row in rows] for step in range(decoder.max_tokens)])
    return jnp.asarray(50.0 * np.eye(random_logits(decoder, batch=1).shape[-1])[wanted])


def test_rows_stop_by_themselves() -> None:
    """FAST ids 0, 1, 2 make 1, 2, 3 coefficients.

    Three times id 2 makes nine. Ids 1 1 0 0 0 leave two for the last token.

    The third row wants id 0 always, but there are six tokens only. One coefficient for each of four tokens leaves 5
    coefficients. The last two tokens must then make 2 and 3.
    """
    samples = sample(CONSTRAINED, wanting(CONSTRAINED, [[2], [1, 1, 0, 0, 0, 1], [0]]), greedy=True)
    np.testing.assert_array_equal(samples.choices, [[2, 2, 2, 0, 0, 0], [1, 1, 0, 0, 0, 1], [0, 0, 0, 0, 1, 2]])
    np.testing.assert_array_equal(samples.mask.sum(axis=1), [3, 6, 6])
    assert not np.any(samples.log_probs[0, 3:])


@pytest.mark.parametrize(
    ("rows", "lengths"),
    [
        ([[2], [2]], [3, 3]),  # both take three tokens: two more steps after the first
        ([[2], [1]], [3, 5]),  # 1 1 1 1 make eight, and 0 is all that fits then
    ],
)
def test_the_loop_ends_with_the_longest_row(rows: list[list[int]], lengths: list[int]) -> None:
    logits, steps = wanting(CONSTRAINED, rows), SeenValues()

    def next_logits(carry: None, choices: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
        steps.see(step, ordered=True)
        return logits[step + 1], carry

    @jax.jit
    def run() -> decoding.TokenSamples:
        start = (logits[0], None)
        return decoding.sample(CONSTRAINED, start, next_logits, key=jax.random.key(0), temperature=1.0, greedy=True)

    samples = run()
    np.testing.assert_array_equal(samples.mask.sum(axis=1), lengths)
    assert steps.read() == list(range(max(lengths) - 1))  # the first token comes from the prefill


def test_free_rows_stop_at_the_bar_the_end_or_the_last_slot() -> None:
    """The stopping token is sampled, and nothing is forced after it."""
    rows = [[15, 14, BAR, 13], [END], [2, 15], [BAR]]
    samples = sample(FREE, wanting(FREE, rows), greedy=True)
    expected = [[15, 14, BAR, 0, 0, 0, 0, 0], [END, *[0] * 7], [2, *[15] * 7], [BAR, *[0] * 7]]
    np.testing.assert_array_equal(samples.choices, expected)
    np.testing.assert_array_equal(samples.mask.sum(axis=1), [3, 1, 8, 1])
    assert np.all(np.asarray(samples.log_probs)[~np.asarray(samples.mask)] == 0)
    np.testing.assert_array_equal(FREE.close(samples.choices, samples.mask), expected)


def test_what_is_forced_after_constrained_rows() -> None:
    tokens = jnp.array([[16, 15, 99, 99], [16, 99, 99, 99]])
    mask = jnp.array([[True, True, False, False], [True, False, False, False]])
    np.testing.assert_array_equal(CONSTRAINED.close(tokens, mask), [[16, 15, BAR, END], [16, BAR, END, 0]])


@pytest.mark.parametrize("decoder", [CONSTRAINED, FREE], ids=["constrained", "free"])
def test_a_row_does_not_depend_on_its_neighbors(decoder: Decoder) -> None:
    """A row depends neither on what its neighbors sample, nor on how long they take, nor on their number."""
    run = sampler(decoder)
    logits, others = random_logits(decoder, batch=8), random_logits(decoder, batch=8, seed=1)
    for seed in range(5):
        key = jax.random.key(seed)
        alone = run(logits, key)
        mixed = run(logits.at[:, 4:].set(others[:, 4:]), key)
        fewer = run(logits[:, :4], key)
        for other in (mixed, fewer):
            jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[:4], b[:4]), alone, other)
        assert np.any(alone.choices[4:] != mixed.choices[4:])
        assert len(set(np.sum(mixed.mask, axis=1).tolist())) > 1


@pytest.mark.parametrize("decoder", [CONSTRAINED, FREE], ids=["constrained", "free"])
def test_samples_score_as_they_were_sampled(decoder: Decoder) -> None:
    logits = random_logits(decoder, batch=64)
    samples = sample(decoder, logits)
    log_probs, entropy = score(decoder, logits, samples.choices, samples.mask)
    np.testing.assert_allclose(log_probs, samples.log_probs, atol=1e-5)
    np.testing.assert_allclose(entropy, samples.entropies, atol=1e-5)
    # Pads do not matter, and hold no score.
    pads = jnp.where(samples.mask, samples.choices, 3)
    again = score(decoder, logits, pads, samples.mask)
    jax.tree.map(np.testing.assert_array_equal, again, (log_probs, entropy))
    assert not np.any(np.asarray(entropy)[~np.asarray(samples.mask)])


def full_vocabulary_log_probs(hidden: jax.Array, table: jax.Array, legal: jax.Array) -> jax.Array:
    """Returns log softmax over all V tokens [B, V], with minus infinity for those that are no legal FAST id."""
    allowed = np.zeros((len(hidden), VOCAB_SIZE), bool)
    for fast_id in range(NUM_FAST):
        allowed[:, VOCAB_SIZE - 1 - SKIP - fast_id] = legal[:, fast_id]
    return jax.nn.log_softmax(jnp.where(allowed, hidden @ table.T, -jnp.inf))


def test_the_rows_of_fast_tokens_are_the_full_vocabulary_masked_to_them() -> None:
    """The log-probabilities are those with all V logits, and so the same noise gives the same samples."""
    key, batch, width = jax.random.key(0), 32, 16
    hidden, table = jax.random.normal(key, (batch, width)), jax.random.normal(key, (VOCAB_SIZE, width)) / 2
    # The rows are in different states: fresh, with a byte pending, with little left, and with few tokens left.
    state = dataclasses.replace(
        CONSTRAINT.start(batch),
        pending=jnp.arange(batch) % 2,
        coefficients_left=1 + jnp.arange(batch) % 9,
        tokens_left=3 + jnp.arange(batch) % 4,
    )
    legal = CONSTRAINED.legal(state)
    assert len(np.unique(np.asarray(legal), axis=0)) > 1
    assert np.all(legal.any(axis=1))
    ours = decoding.legal_log_probs(hidden @ CONSTRAINED.output_rows(table).T, legal, 1.0)
    full = full_vocabulary_log_probs(hidden, table, legal)
    as_fast = full[:, CONSTRAINED.to_model(jnp.arange(NUM_FAST))]
    np.testing.assert_allclose(jnp.where(legal, ours, 0), jnp.where(legal, as_fast, 0), atol=1e-5)
    np.testing.assert_allclose(jnp.sum(jnp.exp(full), axis=1), 1, atol=1e-5)  # nothing is left for other tokens
    # Gumbel's noise of the full vocabulary, at the FAST tokens' places, draws the same token by either.
    noise = jax.random.gumbel(key, full.shape)
    from_full = jnp.argmax(full + noise, axis=1)
    from_rows = jnp.argmax(ours + noise[:, CONSTRAINED.to_model(jnp.arange(NUM_FAST))], axis=1)
    np.testing.assert_array_equal(CONSTRAINED.to_model(from_rows), from_full)


def test_sampled_frequencies_are_those_of_the_masked_full_vocabulary() -> None:
    """Of 20,000 first tokens each share deviates by sqrt(p (1 - p) / 20000) < 0.0036.

    Four of these deviations are allowed.
    """
    batch, width, key = 20_000, 4, jax.random.key(3)
    hidden, table = jax.random.normal(key, (1, width)), jax.random.normal(key, (VOCAB_SIZE, width))
    logits = hidden @ CONSTRAINED.output_rows(table).T
    samples = sample(CONSTRAINED, jnp.broadcast_to(logits, (MAX_TOKENS, batch, NUM_FAST)))
    found = np.bincount(CONSTRAINED.to_model(samples.choices[:, 0]), minlength=VOCAB_SIZE) / batch
    expected = jnp.exp(full_vocabulary_log_probs(hidden, table, CONSTRAINED.legal(CONSTRAINT.start(1))))[0]
    np.testing.assert_allclose(found, expected, atol=4 * 0.0036)


def test_free_decoding_scores_over_the_whole_vocabulary() -> None:
    """The scores are log softmax(logits / 2) of every token, the stopping one included. The entropy is over all V."""
    logits = random_logits(FREE, batch=3)
    tokens = jnp.array([[12, 3, BAR, 0, 0, 0, 0, 0], [END, 0, 0, 0, 0, 0, 0, 0], [9, 9, 9, 9, 9, 9, 9, 9]])
    mask = jnp.arange(8) < jnp.array([[3], [1], [8]])
    log_probs, entropy = score(FREE, logits, tokens, mask, temperature=2.0)
    full = np.asarray(jax.nn.log_softmax(logits.transpose(1, 0, 2) / 2.0))
    expected = np.take_along_axis(full, np.asarray(tokens)[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(log_probs, np.where(mask, expected, 0), atol=1e-5)
    np.testing.assert_allclose(entropy, np.where(mask, -np.sum(np.exp(full) * full, axis=-1), 0), atol=1e-5)


def test_a_configuration_chooses_the_decoder() -> None:
    config = Pi0FASTActorCriticConfig(
        action_dim=3, action_horizon=3, max_token_len=16, max_action_tokens=MAX_TOKENS + 2, vocab_size=64
    )
    token_ids = dataclasses.replace(TOKEN_IDS, vocab_size=64)
    free = dataclasses.replace(config, constrain_decoding=False)
    assert isinstance(make_decoder(config, token_ids, CONSTRAINT), ConstrainedDecoder)
    decoder = make_decoder(free, token_ids, None)
    assert isinstance(decoder, FreeDecoder)
    assert decoder.max_tokens == 8
    with pytest.raises(ValueError, match="constraint must be given where model.constrain_decoding is true"):
        make_decoder(config, token_ids, None)
    with pytest.raises(ValueError, match="constraint must be None .model.constrain_decoding is false"):
        make_decoder(free, token_ids, CONSTRAINT)
