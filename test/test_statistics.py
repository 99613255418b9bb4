"""Tests intervals and the paired test against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chunk_ppo_ros.evaluation.statistics import PairedTest, mean_interval, paired_test, success_interval


def test_wilson_by_hand():
    # With p = 1/2, n = 4, z = 1.959964 the center is 1/2, and half = z / (1 + z^2/n) * sqrt(p(1-p)/n + z^2/(4 n^2)) =
    # 1.959964 / 1.960365 * sqrt(0.0625 + 0.060023) = 0.349961
    assert success_interval(2, 4) == pytest.approx((0.150039, 0.849961), abs=1e-5)


@pytest.mark.parametrize(("successes", "edge"), [(0, 0.0), (5, 1.0)])
def test_wilson_at_the_ends_stays_a_rate_and_has_width(successes, edge):
    low, high = success_interval(successes, 5)
    assert 0.0 <= low < high <= 1.0
    assert edge in (pytest.approx(low), pytest.approx(high))


def test_t_interval_by_hand():
    # The mean is 2, the standard error is sqrt(2) / sqrt(2) = 1, and t(0.975, 1) = 12.7062.
    assert mean_interval([1.0, 3.0]) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-3)
    assert mean_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)


def test_an_interval_needs_two_values():
    with pytest.raises(ValueError, match="at least 2 values, got 1"):
        mean_interval([1.0])


def test_paired_test_by_hand():
    # Three starts are solved by "after" alone, none by "before" alone, and two by both. Of 2^3 equally likely signs one
    # gives a sum of at least 3, so 1/8. Two give a sum as far from 0, so 2/8.
    result = paired_test([0, 0, 0, 1, 1], [1, 1, 1, 1, 1])
    assert (result.difference, result.p_greater, result.p_two_sided, result.num_pairs) == (0.6, 0.125, 0.25, 5)
    worse = paired_test([1, 1, 1, 1, 1], [0, 0, 0, 1, 1])
    assert (worse.difference, worse.p_greater, worse.p_two_sided) == (-0.6, 1.0, 0.25)


@pytest.mark.parametrize(
    ("before", "after", "p_greater", "p_two_sided"),
    [([1, 0], [1, 0], 1.0, 1.0), ([0, 0], [1, 0], 0.5, 1.0), ([1, 0], [0, 0], 1.0, 1.0)],
)
def test_paired_test_with_hardly_a_difference(before, after, p_greater, p_two_sided):
    result = paired_test(before, after)
    assert (result.p_greater, result.p_two_sided) == (p_greater, p_two_sided)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_paired_test_of_success_is_mcnemars(pairs):
    before, after = np.array(pairs, float).T
    gained, lost = int(np.sum(after > before)), int(np.sum(after < before))
    expected = stats.binomtest(gained, gained + lost, alternative="greater").pvalue if gained + lost else 1.0
    assert paired_test(before, after).p_greater == pytest.approx(expected)


def test_many_pairs_are_resampled_reproducibly():
    rng = np.random.default_rng(1)
    before, after = rng.random(64) < 0.3, rng.random(64) < 0.6
    first, again = (paired_test(before.astype(float), after.astype(float), num_resamples=9_999) for _ in range(2))
    assert first == again
    gained, lost = int(np.sum(after > before)), int(np.sum(before > after))
    assert first.p_greater == pytest.approx(
        stats.binomtest(gained, gained + lost, alternative="greater").pvalue, abs=0.01
    )


def test_other_numbers_are_tested_over_all_swaps_where_those_are_few():
    # The differences are 1 and 2, and 0, which does not count. Of four signs one gives a sum of 3 and one a sum of -3.
    result = paired_test([0.0, 0.0, 5.0], [1.0, 2.0, 5.0])
    assert result == PairedTest(difference=1.0, p_greater=0.25, p_two_sided=0.5, num_pairs=3)
    assert result.metrics() == {
        "evaluation/difference": 1.0,
        "evaluation/p_greater": 0.25,
        "evaluation/p_two_sided": 0.5,
        "evaluation/num_pairs": 3,
    }
    assert paired_test([1.0, 2.0], [0.0, 0.0]).p_greater == 1.0  # The sum is the smallest of the four.


def test_other_numbers_are_tested_over_random_swaps_where_there_are_many():
    differences = np.random.default_rng(2).normal(0.3, 1.0, 60)
    first, again = (paired_test(np.zeros(60), differences, num_resamples=9_999) for _ in range(2))
    assert first == again
    t_test = stats.ttest_1samp(differences, 0.0, alternative="greater").pvalue
    assert 0.0 < first.p_greater < 0.5
    assert first.p_greater == pytest.approx(t_test, abs=0.01)
    assert first.p_two_sided == pytest.approx(2.0 * t_test, abs=0.02)


def test_pairs_must_match():
    with pytest.raises(ValueError, match="equal lengths of at least 1, got 1 and 2"):
        paired_test([1.0], [1.0, 2.0])


def test_success_of_many_starts_is_tested_exactly():
    # Of 20 changed starts 15 are better. The sum of C(20, k) for k >= 15 is 21700, over 2^20.
    before = np.repeat([0.0, 1.0, 1.0], [15, 5, 80])
    after = np.repeat([1.0, 0.0, 1.0], [15, 5, 80])
    test = paired_test(before, after)
    assert test.p_greater == pytest.approx(21700 / 2**20)
    assert test.p_two_sided == pytest.approx(2 * 21700 / 2**20)


@pytest.mark.parametrize(
    ("p", "text"),
    [(1.0, "= 1"), (0.0123, "= 0.0123"), (1.85e-34, "= 1.85e-34"), (0.0, "< 1e-300"), (1e-310, "< 1e-300")],
)
def test_a_tiny_probability_is_never_written_as_0(p: float, text: str) -> None:
    assert str(PairedTest(0.5, p, 0.25, 64)).endswith(f"64 paired starts, p {text} one-sided, p = 0.25 two-sided")
