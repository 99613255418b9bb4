"""Tests the actor's learning rate over the steps by Adam, whose steps are the rate under a constant gradient."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.rl.optimizer import make_optimizer


def rates(steps: int, **settings: int) -> list[float]:
    optimizer = make_optimizer(PPOConfig(learning_rate=1.0, max_grad_norm=10.0, **settings)).actor
    state, rates = optimizer.init(jnp.zeros(())), []
    for _ in range(steps):
        update, state = optimizer.update(jnp.ones(()), state)
        rates.append(-float(update))
    return rates


@pytest.mark.parametrize(
    ("warmup", "decay", "expected"),
    [
        (0, 0, [1.0, 1.0, 1.0]),
        (4, 0, [0.25, 0.5, 0.75, 1.0, 1.0]),
        (1, 0, [1.0, 1.0]),
        (0, 3, [1.0, 0.7, 0.4, 0.1, 0.1]),  # linearly to a tenth
        (2, 3, [0.5, 1.0, 1.0, 0.7, 0.4, 0.1, 0.1]),  # the decay begins where the rise ends
    ],
)
def test_the_rate_rises_and_falls(warmup: int, decay: int, expected: list[float]) -> None:
    got = rates(len(expected), learning_rate_warmup_steps=warmup, learning_rate_decay_steps=decay)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_the_scale_of_the_rate_is_part_of_the_state() -> None:
    params = {"actor_backbone": jnp.zeros(2), "value_head": jnp.zeros(1)}
    assert make_optimizer(PPOConfig()).init(params)["rate_scale"] == 1.0  # the key that checkpoints have


def test_the_moments_are_adams_with_0_9_and_0_95() -> None:
    # Gradients 1 and 3 have the means 0.1 and 0.09 + 0.3 = 0.39, over 1 - 0.9^2 = 0.19. The squares are 0.05 and 0.0475
    # + 0.45 = 0.4975, over 1 - 0.95^2 = 0.0975. The steps are 1 and (0.39 / 0.19) / sqrt(0.4975 / 0.0975) = 0.908692.
    optimizers = make_optimizer(PPOConfig(learning_rate=1.0, value_learning_rate=0.5, max_grad_norm=10.0))
    for group, rate in (("actor_backbone", 1.0), ("value_head", 0.5)):
        optimizer = optimizers.of(group)
        state, steps = optimizer.init(jnp.zeros(())), []
        for gradient in (1.0, 3.0):
            update, state = optimizer.update(jnp.float32(gradient), state)
            steps.append(-float(update))
        np.testing.assert_allclose(steps, [rate, 0.908692 * rate], rtol=1e-5)


def test_parameters_without_both_groups_are_refused() -> None:
    with pytest.raises(ValueError, match=r"groups actor_backbone and value_head, got \['actor_backbone'\]"):
        make_optimizer(PPOConfig()).init({"actor_backbone": jnp.zeros(2)})
