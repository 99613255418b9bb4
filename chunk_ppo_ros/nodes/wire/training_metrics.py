"""Converts the metrics of an update or an episode to their message."""

from __future__ import annotations

import math

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.nodes.wire.arrays import header_of

CURVES = {
    "episode_reward": "episode/total_reward",
    "episode_success": "episode/success",
    "episode_num_chunks": "episode/num_chunks",
    "chunk_reward_mean": "reward/chunk_mean",
    "ratio_mean": "ratio/mean",
    "ratio_min": "ratio/min",
    "ratio_max": "ratio/max",
    "clip_fraction": "ratio/clip_fraction",
    "approx_kl": "kl/approx",
    "kl_after": "kl/after",
    "policy_loss": "loss/policy",
    "value_loss": "loss/value",
    "entropy_loss": "loss/entropy",
    "explained_variance": "value/explained_variance",
    "grad_norm_actor": "grad_norm/actor",
    "grad_norm_value": "grad_norm/value",
    "learning_rate_scale": "update/rate_scale",
    "log_prob_gap": "logp_gap/max_ratio",
    "rollout_time": "time/rollout",
    "update_time": "time/update",
}
"""The fields of TrainingMetrics outside its array, and the logged names of their numbers."""


def metrics_to_message(metrics: Metrics, counters: Counters, *, stamp: int, sender: str = "") -> msg.TrainingMetrics:
    """Returns the message of the metrics of an update or an episode.

    Args:
        metrics: the numbers by their logged names.
        counters: the counters of the run.
        stamp: the stamp of the message, ns of ROS time.
        sender: the name of the robot that had the episode, or empty for an update.
    """
    return msg.TrainingMetrics(
        header=header_of(stamp),
        run_id=counters.run_id,
        sender=sender,
        policy_version=counters.policy_version,
        num_chunks=counters.num_chunks,
        metrics=[msg.Metric(name=name, value=float(value)) for name, value in metrics.items()],
        **{field: float(metrics.get(name, math.nan)) for field, name in CURVES.items()},
    )
