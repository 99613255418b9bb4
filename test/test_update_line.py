"""Tests the line that is printed after each update."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.reporting.update_line import update_line

COUNTERS = Counters("run", policy_version=3, num_steps=1536)
PPO = PPOConfig(total_timesteps=5000, max_kl=1.0)
USUAL = {"reward/chunk_mean": 0.25, "ratio/mean": 1.003, "kl/approx": 0.0123}
ACCEPTED = {"kl/after": 0.02, "update/accepted": 1.0, "update/rolled_back": 0.0, "update/rate_scale": 1.0}


def line(**changed: float | None) -> str:
    """Returns the line of an update whose metrics are changed, or missing where None, by names with _ for /."""
    names = {name.replace("/", "_"): name for name in USUAL | ACCEPTED}
    numbers = {**USUAL, **ACCEPTED, **{names[key]: value for key, value in changed.items()}}
    metrics = Metrics({name: value for name, value in numbers.items() if value is not None})
    return update_line(metrics, counters=COUNTERS, ppo=PPO, solved=[True, False, True])


def test_an_accepted_update_names_both_estimates_of_the_kl() -> None:
    assert line() == (
        "version 3: 1536/5000 steps, 2/3 episodes solved, reward/chunk_mean 0.250, ratio/mean 1.003, "
        "kl/approx 0.0123, kl/after 0.0200"
    )


@pytest.mark.parametrize(
    ("changed", "end"),
    [
        (
            {"update_rolled_back": 1.0, "update_rate_scale": 0.5},
            "; undone once, then accepted at 0.5 of the learning rate",
        ),
        (
            {"update_rolled_back": 2.0, "update_rate_scale": 0.25},
            "; undone 2 times, then accepted at 0.25 of the learning rate",
        ),
        (
            {"update_rolled_back": 4.0, "update_accepted": 0.0, "kl_after": 1.94},
            "; undone 4 times, then not accepted: kl/after 1.94 is above ppo.max_kl 1, and the weights do not change",
        ),
        (
            {"update_rolled_back": 4.0, "update_accepted": 0.0, "kl_after": None},
            "; undone 4 times, then not accepted: a loss or a gradient is not finite, and the weights do not change",
        ),
    ],
)
def test_an_update_that_was_undone_says_so(changed: dict[str, float | None], end: str) -> None:
    assert line(**changed).endswith(end)


def test_what_was_not_measured_is_left_out() -> None:
    assert update_line(Metrics(), counters=COUNTERS, ppo=PPO, solved=[]) == (
        "version 3: 1536/5000 steps, 0/0 episodes solved"
    )


def test_the_end_of_the_run_comes_last() -> None:
    text = update_line(Metrics(), counters=COUNTERS, ppo=PPO, solved=[True], end="about 2 min 00 s left, until 09:32")
    assert text == "version 3: 1536/5000 steps, 1/1 episodes solved; about 2 min 00 s left, until 09:32"
