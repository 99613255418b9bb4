"""Intervals and tests for measured success and reward, made with scipy. All reports use these functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats

from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.units import probability_text


def success_interval(successes: int, episodes: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Returns Wilson's score interval of a success rate as (low, high), within 0..1.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Args:
        successes: solved episodes, 0..episodes.
        episodes: measured episodes, at least 1.
        confidence: coverage, between 0 and 1.
    """
    interval = stats.binomtest(successes, episodes).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mean_interval(values: Sequence[float] | np.ndarray, *, confidence: float = 0.95) -> tuple[float, float]:
    """Returns Student's t interval of a mean as (low, high), in the unit of `values`.

    Args:
        values: one number per episode, at least 2.
        confidence: coverage, between 0 and 1.

    Raises:
        ValueError: with fewer than 2 values.
    """
    if len(values) < 2:
        raise ValueError(f"an interval must have at least 2 values, got {len(values)}; measure more episodes")
    half = stats.t.ppf(0.5 + confidence / 2, len(values) - 1) * stats.sem(values)
    mean = np.mean(values)
    return float(mean - half), float(mean + half)


@dataclasses.dataclass(frozen=True)
class PairedTest:
    """The result of `paired_test`.

    Attributes:
        difference: mean of after - before, in the unit of the values.
        p_greater: probability of at least this difference if neither is better (one-sided: after is better).
        p_two_sided: probability of a difference at least this far from 0 on either side.
        num_pairs: number of starts on which both were measured.
    """

    difference: float
    p_greater: float
    p_two_sided: float
    num_pairs: int

    def metrics(self) -> Metrics:
        """Returns the result for the metrics file."""
        return Metrics(
            {
                "evaluation/difference": self.difference,
                "evaluation/p_greater": self.p_greater,
                "evaluation/p_two_sided": self.p_two_sided,
                "evaluation/num_pairs": self.num_pairs,
            }
        )

    def __str__(self) -> str:
        """Returns the result in one line."""
        return (
            f"difference {self.difference:+.3f} over {self.num_pairs} paired starts, "
            f"p {probability_text(self.p_greater)} one-sided, p {probability_text(self.p_two_sided)} two-sided"
        )


def paired_test(
    before: Sequence[float] | np.ndarray, after: Sequence[float] | np.ndarray, *, num_resamples: int = 100_000
) -> PairedTest:
    """Returns a permutation test of the mean difference of pairs. Under the null hypothesis each pair may be swapped.

    The test is exact for success (0 or 1), where it is McNemar's test with binomial probabilities. It is also exact
    where there are at most `num_resamples` ways to swap the pairs. Otherwise it tries that many random swaps from a
    fixed seed. Source: Fisher 1935, "The design of experiments".

    Args:
        before: one number per start.
        after: numbers of the same starts in the same order.
        num_resamples: number of random swaps where the test is not exact.

    Raises:
        ValueError: when the lengths differ or there is no pair.
    """
    if len(before) != len(after) or not len(before):
        raise ValueError(f"before and after must have equal lengths of at least 1, got {len(before)} and {len(after)}")
    differences = np.subtract(after, before, dtype=float)
    changed = differences[differences != 0.0]  # To swap a pair without a difference changes nothing.
    p_greater, p_two_sided = (_swap_test(changed, side, num_resamples) for side in ("greater", "two-sided"))
    return PairedTest(
        difference=float(differences.mean()), p_greater=p_greater, p_two_sided=p_two_sided, num_pairs=len(differences)
    )


def _swap_test(differences: np.ndarray, alternative: str, num_resamples: int) -> float:
    """Returns the p-value of the sum of differences under random signs; 1 where nothing differs."""
    if not len(differences):
        return 1.0
    if np.ptp(np.abs(differences)) == 0.0:  # The sum then follows from the number of positive differences.
        return float(stats.binomtest(int(np.sum(differences > 0)), len(differences), alternative=alternative).pvalue)
    result = stats.permutation_test(
        (differences,),
        lambda sample, axis: np.sum(sample, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=num_resamples,
        alternative=alternative,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


@dataclasses.dataclass(frozen=True)
class RateComparison:
    """The comparison of two success rates from episodes that have nothing in common.

    Attributes:
        difference: rate of after - before.
        low: the lower end of its 95 % interval.
        high: the upper end of its 95 % interval.
        p_two_sided: probability of a difference at least this far from 0 on either side if neither is better.
    """

    difference: float
    low: float
    high: float
    p_two_sided: float

    def __str__(self) -> str:
        """Returns the result in one line."""
        return (
            f"difference {self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}], p "
            f"{probability_text(self.p_two_sided)} two-sided (Barnard's test)"
        )


def compare_rates(before: tuple[int, int], after: tuple[int, int]) -> RateComparison:
    """Returns the difference of two success rates with Newcombe's hybrid score interval and Barnard's exact test.

    Sources: Newcombe 1998, "Interval estimation for the difference between independent proportions" (method 10);
    Barnard 1945, "A new test for 2x2 tables".

    Args:
        before: successes and episodes of the first, of which there is at least 1.
        after: successes and episodes of the second, of which there is at least 1.
    """
    (x, m), (y, n) = before, after
    p, q = x / m, y / n
    (p_low, p_high), (q_low, q_high) = success_interval(x, m), success_interval(y, n)
    below, above = np.hypot(q - q_low, p_high - p), np.hypot(q_high - q, p - p_low)
    # Barnard's statistic is undefined where both rates are 0 or both are 1, and then nothing differs.
    p_value = 1.0 if p == q else float(stats.barnard_exact([[y, x], [n - y, m - x]]).pvalue)
    return RateComparison(q - p, float(q - p - below), float(q - p + above), p_value)
