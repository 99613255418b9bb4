"""The line that is printed after each update, in the script form and by trainer_node alike."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters

SHOWN = {"reward/chunk_mean": ".3f", "ratio/mean": ".3f", "kl/approx": ".4f", "kl/after": ".4f"}
"""The metrics that are printed, under their logged names, and the form of each number."""


def update_line(metrics: Metrics, *, counters: Counters, ppo: PPOConfig, solved: Sequence[bool]) -> str:
    """One line about an update, which says so where it was undone.

    Args:
        metrics: of the update; what is missing is left out of the line.
        counters: how far the run has come with this update.
        ppo: reads `total_timesteps` and `max_kl`.
        solved: whether the task was solved, for each episode that ended since the update before.
    """
    numbers = [f"{name} {metrics[name]:{form}}" for name, form in SHOWN.items() if name in metrics]
    parts = [
        f"{counters.num_steps}/{ppo.total_timesteps} steps",
        f"{sum(solved)}/{len(solved)} episodes solved",
        *numbers,
    ]
    return f"version {counters.policy_version}: {', '.join(parts)}{_undone(metrics, ppo)}"


def _undone(metrics: Metrics, ppo: PPOConfig) -> str:
    """Returns how often the update was undone and what came of it; empty where it was accepted at once."""
    undone = int(metrics.get("update/rolled_back", 0))
    if undone == 0:
        return ""
    times = "once" if undone == 1 else f"{undone} times"
    if metrics["update/accepted"]:
        return f"; undone {times}, then accepted at {metrics['update/rate_scale']:.3g} of the learning rate"
    if "kl/after" not in metrics:
        return f"; undone {times}, then not accepted: a loss or a gradient is not finite, and the weights stay"
    return (
        f"; undone {times}, then not accepted: kl/after {metrics['kl/after']:.3g} is above ppo.max_kl {ppo.max_kl:g}, "
        "and the weights stay"
    )
