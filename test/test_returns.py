"""The discount between chunks."""

from __future__ import annotations

import pytest

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.rl.returns import chunk_discount


@pytest.mark.parametrize("num_steps", [0, 1, 16])
def test_discount_per_chunk_does_not_depend_on_the_steps(num_steps):
    assert chunk_discount(config_lib.PPOConfig(gamma=0.99), num_steps) == 0.99


@pytest.mark.parametrize(
    ("num_steps", "expected"),
    [(0, 1.0), (1, 0.5), (3, 0.125)],  # 0.5 ** k
)
def test_discount_per_step_counts_the_executed_steps(num_steps, expected):
    config = config_lib.PPOConfig(discount_per_step=True, gamma_step=0.5, gamma=0.99)
    assert chunk_discount(config, num_steps) == expected


def test_negative_steps_are_refused():
    with pytest.raises(ValueError, match="num_steps must be at least 0, got -1"):
        chunk_discount(config_lib.PPOConfig(), -1)
