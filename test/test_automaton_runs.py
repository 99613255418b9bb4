"""Tests more than 10^4 runs of constrained decoding. Whatever is sampled decodes, with every coefficient in range."""

from __future__ import annotations

import jax
import pytest

from chunk_ppo_ros.model.tokenization import fast_tokenizer
from support import automaton_runs
from support.automaton_runs import KINDS, Case, Figures

RUNS = {  # 10 704 in all, many where the automaton is small
    "published (10, 7)": 720,
    "published (16, 14)": 240,
    "published (25, 14)": 96,
    "published (50, 14)": 48,
    "fitted (16, 14), scale 10": 2400,
    "fitted (16, 14), scale 20": 2400,
    "fitted (10, 7), scale 30": 4800,
}


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return {**automaton_runs.published_cases(), **automaton_runs.fitted_cases()}


def check(case: Case, figures: Figures) -> None:
    assert figures.undecodable == 0
    assert figures.out_of_range == 0
    assert figures.most_tokens <= case.max_tokens
    bound = fast_tokenizer.action_bound(
        scale=case.tokenizer.scale, horizon=case.horizon, action_limit=automaton_runs.ACTION_LIMIT
    )
    assert figures.largest_action <= bound + 1e-6


@pytest.mark.parametrize("name", RUNS)
def test_every_run_decodes(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    figures = automaton_runs.run_case(case, runs=RUNS[name], batch=min(RUNS[name], 1200))
    check(case, figures)
    # The runs go to their bounds: of coefficients, of tokens, and short ones that begin with long tokens.
    assert figures.largest_coefficient == case.limit
    assert figures.most_tokens == case.max_tokens
    assert figures.fewest_tokens <= 5


@pytest.mark.parametrize("name", ["published (10, 7)", "fitted (16, 14), scale 20"])
def test_every_sampled_run_decodes(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    check(case, automaton_runs.run_case(case, runs=240, batch=240, greedy=False))


def test_kinds_do_what_their_names_say(cases: dict[str, Case]) -> None:
    """Rows that like the longest tokens need fewer tokens than rows that like the shortest.

    Rows that complete the fewest coefficients use all tokens that there are.
    """
    case = cases["fitted (10, 7), scale 30"]
    run = automaton_runs.make_runner(case, batch=len(KINDS), greedy=True)
    lengths = dict(zip(KINDS, jax.device_get(run(jax.random.key(0)).mask).sum(axis=1), strict=True))
    assert lengths["most coefficients"] < lengths["random"] < lengths["fewest coefficients"]
    assert lengths["longest"] < lengths["shortest"]
    assert lengths["fewest coefficients"] == case.max_tokens
    assert lengths["cheapest"] == min(lengths.values())
    assert lengths["dearest"] > lengths["cheapest"]
