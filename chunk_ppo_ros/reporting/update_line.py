"""Makes the line that the script form and trainer_node print after each update."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.config import PPOConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters

SHOWN = {"reward/chunk_mean": ".3f", "ratio/mean": ".3f", "kl/approx": ".4f", "kl/after": ".4f"}
"""The logged names of the metrics that are printed, with the format of each number."""


def update_line(metrics: Metrics, *, counters: Counters, ppo: PPOConfig, solved: Sequence[bool], end: str = "") -> str:
    """Returns one line about an update. Where the update was undone, the line says so.

    Args:
        metrics: metrics of the update; the line leaves out a metric that is missing.
        counters: progress of the run, this update included.
        ppo: settings of the run; `total_timesteps` and `max_kl` are read.
        solved: whether the task was solved, for each episode that ended since the previous update.
        end: text that says when the run ends; empty where that is not known.
    """
    numbers = [f"{name} {metrics[name]:{form}}" for name, form in SHOWN.items() if name in metrics]
    parts = [
        f"{counters.num_steps}/{ppo.total_timesteps} steps",
        f"{sum(solved)}/{len(solved)} episodes solved",
        *numbers,
    ]
    return f"version {counters.policy_version}: {', '.join(parts)}{_undone(metrics, ppo)}{f'; {end}' if end else ''}"


def _undone(metrics: Metrics, ppo: PPOConfig) -> str:
    """Returns how often the update was undone and how it ended; empty where it was accepted at once."""
    undone = int(metrics.get("update/rolled_back", 0))
    if undone == 0:
        return ""
    times = "once" if undone == 1 else f"{undone} times"
    if metrics["update/accepted"]:
        return f"; undone {times}, then accepted at {metrics['update/rate_scale']:.3g} of the learning rate"
    if "kl/after" not in metrics:
        return f"; undone {times}, then not accepted: a loss or a gradient is not finite, and the weights do not change"
    return (
        f"; undone {times}, then not accepted: kl/after {metrics['kl/after']:.3g} is above ppo.max_kl {ppo.max_kl:g}, "
        "and the weights do not change"
    )
