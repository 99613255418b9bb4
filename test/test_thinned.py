"""Tests the curves of long runs: what is kept of a part, by hand, and that nothing grows with the run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chunk_ppo_ros.reporting.curves.episodes import PROMPT, REWARD, SUCCESS, WINDOW, Episodes
from chunk_ppo_ros.reporting.curves.thinned import ThinnedTable
from chunk_ppo_ros.reporting.curves.updates import NOT_KEPT, Updates


def table_of(values: list[float | None], *, max_parts: int) -> ThinnedTable:
    table = ThinnedTable(len(values), max_parts=max_parts)
    for number, value in enumerate(values):
        table.add(float(number), {"a": value})
    return table


def test_a_short_curve_is_kept_as_it_is() -> None:
    table = table_of([1.0, None, 3.0], max_parts=3)
    assert table.rows_per_part == 1
    np.testing.assert_array_equal(table.line("a"), [[0, 1, 2], [1, math.nan, 3]])


def test_each_part_keeps_its_lowest_and_its_highest_value_in_their_order() -> None:
    """Seven rows in at most three parts make parts of three: (1, 9, 4), (5, 2, 3) and (7)."""
    table = table_of([1.0, 9.0, 4.0, 5.0, 2.0, 3.0, 7.0], max_parts=3)
    assert (table.rows_per_part, len(table)) == (3, 7)
    np.testing.assert_array_equal(table.line("a"), [[0, 2, 3, 5, 6], [1, 9, 5, 2, 7]])
    np.testing.assert_allclose(table.mean("a"), [[2, 5, 6], [14 / 3, 10 / 3, 7]])
    np.testing.assert_array_equal(table.low("a")[1], [1, 2, 7])
    np.testing.assert_array_equal(table.high("a")[1], [9, 5, 7])


def test_a_spike_of_one_row_stays_visible() -> None:
    values: list[float | None] = [0.0] * 100_000
    values[54_321] = 8.0
    x, y = table_of(values, max_parts=800).line("a")
    assert len(x) <= 1600
    assert y.max() == 8.0
    assert abs(x[y.argmax()] - 54_321) <= 125  # rows in a part


def test_what_is_not_finite_counts_in_no_part() -> None:
    table = table_of([None, math.nan, 2.0, math.inf, None, None], max_parts=3)
    np.testing.assert_array_equal(table.mean("a")[1], [math.nan, 2.0, math.nan])
    assert table.has_values("a") and not table.has_values("b")
    assert np.isnan(table.line("b")[1]).all()


def test_a_number_that_comes_late_has_its_place() -> None:
    table = ThinnedTable(3)
    for number in range(3):
        table.add(float(number), {"late": 5.0} if number == 2 else {})
    np.testing.assert_array_equal(table.line("late")[1], [math.nan, math.nan, 5.0])


def test_what_is_counted_over_all_updates() -> None:
    records = [
        {"num_chunks": 8, "num_steps": 128, "policy_version": 1, "time/update": 2.0, "kl/after": None},
        {
            "num_chunks": 16,
            "num_steps": 256,
            "policy_version": 2,
            "time/update": 3.0,
            "kl/after": 0.5,
            "update/accepted": 0.0,
        },
    ]
    updates = Updates.of(records)
    assert (len(updates), updates.counted("num_steps"), updates.num_not_kept) == (2, 256, 1)
    assert updates.nulls == {"kl/after": 1}
    assert updates.totals["time/update"] == 5.0
    np.testing.assert_array_equal(updates.curves.line(NOT_KEPT), [[8, 16], [math.nan, 0.5]])
    assert NOT_KEPT not in updates.names and "num_steps" not in updates.names


def episode(number: int, reward: float | None = 1.0, **more: object) -> dict[str, object]:
    return {"episode/num_chunks": 2, SUCCESS: float(number % 2), REWARD: reward, **more}


def test_the_running_mean_of_episodes_by_hand() -> None:
    """The mean over the newest 32 of 0, 1, 2, ... at episode n > 31 is n - 15.5. It begins at the 17th of 40."""
    episodes = Episodes.of(episode(number, float(number)) for number in range(40))
    x, y = episodes.mean(REWARD)
    assert WINDOW == 32
    np.testing.assert_allclose([x[0], y[0]], [34.0, 8.0])
    np.testing.assert_allclose([x[-1], y[-1]], [80.0, 39 - 15.5])


@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_reward_that_is_no_number_leaves_the_others_as_they_are(missing: float | None) -> None:
    episodes = Episodes.of(episode(number, missing if number == 0 else 3.0) for number in range(3))
    np.testing.assert_allclose(episodes.mean(REWARD)[1], [3.0, 3.0])
    assert math.isnan(episodes.all.reward)
    assert episodes.all.solved == pytest.approx(1 / 3)


def test_the_first_and_the_last_episodes_and_those_of_a_prompt() -> None:
    records = [episode(number, **{PROMPT: "ab"[number % 2]}) for number in range(10)]
    records[0][SUCCESS] = records[2][SUCCESS] = 1.0
    episodes = Episodes.of(records)
    assert (episodes.part, episodes.first.solved, episodes.last.solved) == (5, 0.8, 0.6)
    own = episodes.by_prompt["a"]
    assert (len(own), own.part, own.first.solved, own.last.solved) == (5, 2, 1.0, 0.0)
    np.testing.assert_array_equal(own.curves.line(SUCCESS)[0], [2, 6, 10, 14, 18])
    assert episodes.lengths[0] == {2: 2}  # a quarter of ten episodes
