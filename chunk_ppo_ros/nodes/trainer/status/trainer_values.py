"""What trainer_node says of itself on /diagnostics, in numbers."""

from __future__ import annotations

import math

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.nodes.common.status.diagnostics import Value
from chunk_ppo_ros.nodes.trainer.training_run import TrainingRun

OF_UPDATE = {
    "log_prob_gap": "logp_gap/max_ratio",
    "kl_after": "kl/after",
    "clip_fraction": "ratio/clip_fraction",
    "explained_variance": "value/explained_variance",
    "update_time": "time/update",
    "rollout_time": "time/rollout",
}
"""The keys of the values that are metrics of the newest update, and the names under which these are logged."""


def trainer_values(
    run: TrainingRun | None, config: TrainConfig, update: Metrics | None, *, waits_for: str
) -> dict[str, Value]:
    """Returns what is waited for and, with a run, the version, how far training and the rollout are, and the update.

    `queue` is the number of transitions that are being stored.

    While an update is made, the worker thread changes what the learner counts, so that only the rollout is told.

    Args:
        run: the run, or None while there is none.
        config: the configuration of the run.
        update: the metrics of the newest update of this process, or None before one.
        waits_for: what training waits for, or an empty string.
    """
    if run is None:
        return {"waits for": waits_for, "queue": 0}
    buffer = run.buffer
    values: dict[str, Value] = {
        "waits for": waits_for,
        "queue": buffer.num_being_stored,
        "policy_version": buffer.version,
        "is_updating": run.is_updating,
        "rollout_accepted": buffer.num_accepted,
        "rollout_required": buffer.num_required,
        "rollout_fill": buffer.num_accepted / buffer.num_required,
        "transitions_refused": buffer.num_refused,
    }
    if not run.is_updating:
        values |= {"num_steps": run.learner.num_steps, "total_timesteps": config.ppo.total_timesteps}
    if update is not None:
        values |= {key: float(update.get(name, math.nan)) for key, name in OF_UPDATE.items()}
    return values
