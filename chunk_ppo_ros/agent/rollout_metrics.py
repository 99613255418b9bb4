"""Computes the metrics of a rollout that need no policy."""

from __future__ import annotations

from collections.abc import Sequence

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.reporting.run_metrics import prompt_metrics, safety_metrics
from chunk_ppo_ros.rewards.terms import mean_shares
from chunk_ppo_ros.robot.chunk_length import length_metrics


def rollout_metrics(transitions: Sequence[Transition], config: TrainConfig) -> Metrics:
    """Returns the metrics of executed steps, of safety, of reward terms, and of prompts where the run has several.

    Args:
        transitions: the transitions of the rollout, with all their reward terms.
        config: the configuration of the run.
    """
    metrics = length_metrics(transitions) | safety_metrics(transitions)
    metrics |= mean_shares(entry.outcome for entry in transitions)
    if config.episode.has_several_prompts:
        metrics |= prompt_metrics(transitions, config.episode.weighted_prompts)
    return metrics
