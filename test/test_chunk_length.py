"""Tests how many steps of a chunk are executed, and the discount over them, by tables worked out by hand."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunk_ppo_ros.config import ChunkLengthConfig, Pi0FASTActorCriticConfig, PPOConfig, TrainConfig
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.robot.chunk_length import choose_num_steps, chunk_discount, held_after, length_metrics, mean_entropy
from support.toy_policy import transition

H = 16
SCHEDULED = ChunkLengthConfig(length_rule="scheduled", executed_steps=4, end_steps=16, schedule_updates=8)
UNCERTAIN = ChunkLengthConfig(length_rule="uncertainty", end_steps=4, low_entropy=1.0, high_entropy=3.0)
WITH_VALUE = dataclasses.replace(UNCERTAIN, low_value=-1.0, high_value=1.0)


def choose(config: ChunkLengthConfig, *, version: int = 0, entropy: float = 0.0, value: float = 0.0) -> int:
    return choose_num_steps(config, horizon=H, policy_version=version, entropy=entropy, value=value)


@pytest.mark.parametrize(("given_steps", "expected"), [(0, 16), (1, 1), (5, 5), (16, 16)])
def test_a_fixed_length_reads_nothing(given_steps: int, expected: int) -> None:
    config = ChunkLengthConfig(executed_steps=given_steps)
    assert {choose(config, version=v, entropy=e, value=-9.0) for v in (0, 7) for e in (0.0, 9.0)} == {expected}


@pytest.mark.parametrize(
    ("version", "expected"),
    # The length is 4 + 12 v / 8 until v = 8, which is 1.5 more a version. Halves are rounded up.
    [(0, 4), (1, 6), (2, 7), (3, 9), (4, 10), (7, 15), (8, 16), (9, 16), (1000, 16)],
)
def test_a_schedule_goes_linearly_by_version(version: int, expected: int) -> None:
    assert choose(SCHEDULED, version=version, entropy=9.0, value=-9.0) == expected


def test_a_schedule_may_fall() -> None:
    falling = ChunkLengthConfig(length_rule="scheduled", end_steps=4, schedule_updates=2)
    assert [choose(falling, version=version) for version in range(4)] == [16, 10, 4, 4]  # 16 - 12 v / 2


@pytest.mark.parametrize(
    ("entropy", "expected"),
    # With u = (entropy - 1) / 2 within 0..1 the length is k = 16 - 12 u. At the entropy 1.25 it is 14.5, and halves are
    # rounded up.
    [(0.0, 16), (1.0, 16), (1.25, 15), (1.5, 13), (2.0, 10), (2.75, 6), (3.0, 4), (8.0, 4)],
)
def test_an_unsure_chunk_is_cut(entropy: float, expected: int) -> None:
    assert choose(UNCERTAIN, entropy=entropy, value=-1e6) == expected  # equal values leave V(s) out


@pytest.mark.parametrize(
    ("entropy", "value", "expected"),
    # The entropy gives u = (entropy - 1) / 2, and the value gives u = (1 - value) / 2. The larger u gives k = 16 - 12
    # u.
    [
        (1.0, 1.0, 16),  # 0, 0
        (1.0, 5.0, 16),  # 0, below 0
        (1.0, 0.5, 13),  # 0, 0.25
        (2.0, 0.5, 10),  # 0.5, 0.25
        (2.0, -0.5, 7),  # 0.5, 0.75
        (0.0, -1.0, 4),  # below 0, 1
        (0.0, -9.0, 4),
    ],
)
def test_a_low_value_cuts_too(entropy: float, value: float, expected: int) -> None:
    assert choose(WITH_VALUE, entropy=entropy, value=value) == expected


@given(
    config=st.sampled_from([ChunkLengthConfig(), SCHEDULED, UNCERTAIN, WITH_VALUE]),
    version=st.integers(0, 10**6),
    entropy=st.floats(0.0, 20.0),
    value=st.floats(-1e3, 1e3),
)
def test_the_choice_is_within_the_horizon_and_always_the_same(
    config: ChunkLengthConfig, version: int, entropy: float, value: float
) -> None:
    chosen = choose(config, version=version, entropy=entropy, value=value)
    assert 1 <= chosen <= H
    assert choose(config, version=version, entropy=entropy, value=value) == chosen


def test_entropy_is_the_mean_over_sampled_tokens() -> None:
    entropies = np.array([2.0, 0.0, 1.0, 7.0], np.float32)
    assert mean_entropy(entropies, np.array([True, True, True, False])) == 1.0  # (2 + 0 + 1) / 3
    assert mean_entropy(entropies, np.zeros(4, bool)) == 0.0


def test_what_is_not_executed_is_held() -> None:
    actions = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(held_after(actions, 2, horizon=4), [[0, 1], [2, 3], [2, 3], [2, 3]])
    np.testing.assert_array_equal(held_after(actions[:2], 2, horizon=4), [[0, 1], [2, 3], [2, 3], [2, 3]])
    np.testing.assert_array_equal(held_after(actions, 4, horizon=4), actions)


def test_metrics_are_of_the_chunks_that_the_policy_sampled() -> None:
    figures = length_metrics([_executed(3, entropy=0.5), _executed(8, entropy=1.5), _executed(1, 9.0, human=True)])
    assert figures == {
        "chunk/num_steps_mean": 5.5,
        "chunk/num_steps_min": 3.0,
        "chunk/num_steps_max": 8.0,
        "chunk/entropy_mean": 1.0,
        "chunk/entropy_min": 0.5,
        "chunk/entropy_max": 1.5,
    }
    assert length_metrics([_executed(1, human=True)]) == {}


def _executed(num_steps: int, entropy: float = 0.0, *, human: bool = False) -> Transition:
    one = transition(0, human=human)
    chunk = dataclasses.replace(one.chunk, entropy=entropy)
    outcome = dataclasses.replace(one.outcome, execution=ExecutionResult.whole(num_steps))
    return dataclasses.replace(one, chunk=chunk, outcome=outcome)


# The tests below check the discount of a chunk.


@pytest.mark.parametrize("num_steps", [0, 1, 16])
def test_discount_per_chunk_does_not_depend_on_the_steps(num_steps: int) -> None:
    assert chunk_discount(PPOConfig(gamma=0.99), num_steps) == 0.99


@pytest.mark.parametrize(
    ("num_steps", "expected"),
    [(0, 1.0), (1, 0.5), (3, 0.125)],  # 0.5 ** k
)
def test_discount_per_step_counts_the_executed_steps(num_steps: int, expected: float) -> None:
    config = PPOConfig(discount_per_step=True, gamma_step=0.5, gamma=0.99)
    assert chunk_discount(config, num_steps) == expected


def test_negative_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="num_steps must be at least 0, got -1"):
        chunk_discount(PPOConfig(), -1)


# The tests below check which settings are accepted.


@pytest.mark.parametrize(
    ("length", "ppo", "message"),
    [
        ({"executed_steps": 17}, {}, "executed_steps must be at most model.action_horizon (16), got 17"),
        ({"length_rule": "scheduled", "end_steps": 17}, {}, "end_steps must be at most 16 where"),
        ({"length_rule": "uncertainty", "executed_steps": 3}, {}, "end_steps must be at most 3 where"),
        # 0.5 ** (1 / 16) = 0.9576
        ({"length_rule": "uncertainty"}, {"gamma": 0.5}, "got false; set it, and ppo.gamma_step 0.9576 to keep 0.5"),
        ({"low_entropy": 3.0}, {}, "high_entropy must be above chunk_length.low_entropy (3.0), got 1.3"),
        ({"low_value": 1.0}, {}, "high_value must be at least chunk_length.low_value (1.0), got 0.0"),
    ],
)
def test_lengths_that_cannot_be_are_refused(length: dict[str, Any], ppo: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        TrainConfig(chunk_length=ChunkLengthConfig(**length), ppo=PPOConfig(**ppo))


def test_lengths_may_vary_where_time_is_counted_in_steps_or_not_at_all() -> None:
    for ppo in (PPOConfig(discount_per_step=True), PPOConfig(gamma=1.0)):
        assert TrainConfig(chunk_length=UNCERTAIN, ppo=ppo).chunk_length.length_rule == "uncertainty"


def test_the_time_limit_is_in_steps() -> None:
    config = TrainConfig(model=Pi0FASTActorCriticConfig(action_horizon=10))
    assert config.max_episode_steps == 4 * 10  # env.max_episode_chunks, model.action_horizon
