"""Makes runs of constrained decoding under random and hostile logits, and decodes their chunks.

`python test/support/automaton_runs.py --runs 1000000` from the repository's root prints the figures.
`test_automaton_runs.py` makes fewer runs. The sampler is the model's own (`decoding.sample`). The tokenizer alone
judges what it sampled, and knows nothing of the automaton's tables.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.model import decoding
from chunk_ppo_ros.model.decoders import ConstrainedDecoder
from chunk_ppo_ros.model.tokenization import fast_tokenizer
from chunk_ppo_ros.model.tokenization.automaton import ConstraintState, FastConstraint
from chunk_ppo_ros.model.tokenization.fast_tokenizer import FastTokenizer
from chunk_ppo_ros.model.tokenization.token_ids import TokenIds
from support.published import fast_folder

ACTION_LIMIT = 1.5
NUM_NOISE_ROWS = 256

# Each kind of row likes one thing in a token. The kinds like noise, coefficients, bytes left pending, bytes, many
# tokens needed to complete the chunk, and illegal tokens. Illegal tokens count as needing most tokens and as completing
# most coefficients.
KINDS = {
    "random": (1.0, 0, 0, 0, 0, 0),
    "peaked": (50.0, 0, 0, 0, 0, 0),
    "fewest coefficients": (1.0, -100, 0, 0, 0, 0),
    "most coefficients": (1.0, 100, 0, 0, 0, 0),
    "leaves bytes pending": (1.0, 0, 1e4, 0, 0, 0),
    "pending and many": (1.0, 10, 1e4, 0, 0, 0),
    "pending and few": (1.0, -10, 1e4, 0, 0, 0),
    "longest": (1.0, 0, 0, 100, 0, 0),
    "shortest": (1.0, 0, 0, -100, 0, 0),
    "dearest": (1.0, 0, 0, 0, 1e3, 0),
    "cheapest": (1.0, 0, 0, 0, -1e3, 0),
    "illegal": (1.0, 0, 0, 0, 0, 1e30),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A tokenizer and the chunks that it is to make, [horizon, action_dim], with at most `max_tokens` tokens."""

    tokenizer: FastTokenizer
    horizon: int
    action_dim: int
    max_tokens: int

    @property
    def limit(self) -> int:
        """The largest absolute value of a quantized coefficient."""
        return fast_tokenizer.coefficient_limit(
            scale=self.tokenizer.scale, horizon=self.horizon, action_limit=ACTION_LIMIT
        )


@dataclasses.dataclass
class Figures:
    """The figures of some runs."""

    runs: int = 0
    undecodable: int = 0
    out_of_range: int = 0
    largest_coefficient: int = 0
    largest_action: float = 0.0
    fewest_tokens: int = 1 << 30
    most_tokens: int = 0


def smooth_chunks(key: int, num: int, *, horizon: int, action_dim: int) -> np.ndarray:
    """Returns normalized minimum-jerk ramps [num, H, D] of six joints. The other dimensions stay at a constant."""
    rng = np.random.default_rng(key)
    moment = np.clip(np.linspace(0, 1, horizon) / rng.uniform(0.5, 1.5, (num, 1)), 0, 1)
    ramp = 10 * moment**3 - 15 * moment**4 + 6 * moment**5
    size = np.where(np.arange(action_dim) % 7 < 3, rng.uniform(-1.4, 1.4, (num, action_dim)), 0)
    return ramp[:, :, None] * size[:, None, :]


def fitted(horizon: int, action_dim: int, *, scale: float) -> FastTokenizer:
    """Returns a fitted tokenizer.

    Scale 20 at H = 16 makes 241 characters, half of which have two bytes, so that bytes can be pending here too.
    """
    return FastTokenizer.fit(smooth_chunks(0, 300, horizon=horizon, action_dim=action_dim), vocab_size=512, scale=scale)


def published_cases() -> dict[str, Case]:
    """Returns cases with the published tokenizer: ALOHA's chunk, the chunk of one arm, and longer chunks."""
    tokenizer = FastTokenizer.load(fast_folder())
    shapes = {(10, 7): 60, (16, 14): 98, (25, 14): 148, (50, 14): 260}
    return {f"published {shape}": Case(tokenizer, *shape, most) for shape, most in shapes.items()}


def fitted_cases() -> dict[str, Case]:
    """Returns cases with tokenizers of one byte and of two bytes a character.

    In the last case the shortest encoding of a chunk needs all tokens.
    """
    return {
        "fitted (16, 14), scale 10": Case(fitted(16, 14, scale=10), 16, 14, 60),
        "fitted (16, 14), scale 20": Case(fitted(16, 14, scale=20), 16, 14, 60),
        "fitted (10, 7), scale 30": Case(fitted(10, 7, scale=30), 10, 7, 30),
    }


def make_runner(case: Case, *, batch: int, greedy: bool) -> Callable[[jax.Array], decoding.TokenSamples]:
    """Returns a function that takes a key and makes `batch` runs of all kinds side by side.

    With `greedy` each run takes the token that its row likes most. This is the more hostile and the faster choice.
    Otherwise tokens are sampled at temperature 1.
    """
    constraint = FastConstraint.build(
        case.tokenizer,
        horizon=case.horizon,
        action_dim=case.action_dim,
        max_tokens=case.max_tokens,
        action_limit=ACTION_LIMIT,
    )
    vocab_size = constraint.num_fast + 16
    token_ids = TokenIds(vocab_size, num_fast=constraint.num_fast, skip=0, action_prefix=(3,), bar=4, end=1)
    logits_of = _preferences(case, constraint, batch=batch)

    @jax.jit
    def run(key: jax.Array) -> decoding.TokenSamples:
        noise_key, row_key, sample_key = jax.random.split(key, 3)
        noise = jax.random.normal(noise_key, (NUM_NOISE_ROWS, constraint.num_fast))
        rows = jax.random.randint(row_key, (constraint.max_tokens, batch), 0, NUM_NOISE_ROWS)

        def next_logits(
            state: ConstraintState, choices: jax.Array, step: jax.Array
        ) -> tuple[jax.Array, ConstraintState]:
            state = constraint.advance(state, choices)
            return logits_of(state, noise[rows[step + 1]]), state

        state = constraint.start(batch)
        start = (logits_of(state, noise[rows[0]]), state)
        decoder = ConstrainedDecoder(constraint, token_ids)
        return decoding.sample(decoder, start, next_logits, key=sample_key, temperature=1.0, greedy=greedy)

    return run


def _preferences(
    case: Case, constraint: FastConstraint, *, batch: int
) -> Callable[[ConstraintState, jax.Array], jax.Array]:
    """Returns a function (state, noise [B, F]) -> logits [B, F] for rows whose kinds take turns."""
    weights = jnp.asarray([list(KINDS.values())[row % len(KINDS)] for row in range(batch)], jnp.float32)
    num_bytes = jnp.asarray([len(token or b"") for token in case.tokenizer.token_bytes], jnp.float32)
    num, pending = (
        jnp.asarray(table, jnp.float32) for table in (constraint.num_coefficients, constraint.next_pending > 0)
    )
    needed = jnp.asarray(constraint.tokens_needed)

    def logits_of(state: ConstraintState, noise: jax.Array) -> jax.Array:
        left = jnp.clip(state.coefficients_left, 0, constraint.total)
        tokens = needed[state.pending, left].astype(jnp.float32)
        illegal = tokens > state.tokens_left[:, None]
        liked = (noise, num[state.pending], pending[state.pending], num_bytes[None], tokens, illegal)
        return sum(weights[:, index, None] * part for index, part in enumerate(liked))  # type: ignore[return-value]

    return logits_of


def judge(case: Case, samples: decoding.TokenSamples, figures: Figures) -> None:
    """Adds the runs of a batch to the figures, by decoding each."""
    lengths = np.sum(samples.mask, axis=1)
    for row, length in zip(np.asarray(samples.choices), lengths, strict=True):
        chunk = case.tokenizer.decode(row[:length], horizon=case.horizon, action_dim=case.action_dim)
        figures.runs += 1
        figures.undecodable += not chunk.valid
        figures.out_of_range += chunk.largest_coefficient > case.limit
        figures.largest_coefficient = max(figures.largest_coefficient, chunk.largest_coefficient)
        figures.largest_action = max(figures.largest_action, chunk.largest_action)
    figures.fewest_tokens = min(figures.fewest_tokens, int(lengths.min()))
    figures.most_tokens = max(figures.most_tokens, int(lengths.max()))


def run_case(case: Case, *, runs: int, batch: int, greedy: bool = True, seed: int = 0) -> Figures:
    """Makes at least `runs` runs of a case, `batch` at a time, and returns their figures."""
    run, figures = make_runner(case, batch=batch, greedy=greedy), Figures()
    while figures.runs < runs:
        judge(case, jax.device_get(run(jax.random.fold_in(jax.random.key(seed), figures.runs))), figures)
    return figures


def main() -> None:
    """Prints the figures of each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="runs of all cases together (10000)")
    parser.add_argument("--batch", type=int, default=1_200, help="runs at a time (1200)")
    parser.add_argument("--sampled", action="store_true", help="sample at temperature 1 instead of the likeliest token")
    parser.add_argument("--case", default="", help="only cases whose name holds this")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    cases = {**published_cases(), **fitted_cases()}
    cases = {name: case for name, case in cases.items() if arguments.case in name}
    for name, case in cases.items():
        began = time.monotonic()
        figures = run_case(
            case,
            runs=-(-arguments.runs // len(cases)),
            batch=arguments.batch,
            greedy=not arguments.sampled,
            seed=arguments.seed,
        )
        bound = fast_tokenizer.action_bound(scale=case.tokenizer.scale, horizon=case.horizon, action_limit=ACTION_LIMIT)
        print(f"{name}: {figures}, limit {case.limit}, bound of actions {bound:.1f}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
