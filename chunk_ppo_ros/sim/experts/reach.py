"""Demonstrates the reach task by a script.

The expert intends to move waist, shoulder and elbow of each arm so that the grasp points come to the true targets. What
is executed is the path to disturbed points, which have an independent Gaussian error in each chunk. The pace is random,
so that a chunk covers a random part of the remaining way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.sim.experts.expert import PlannedChunk, draw_pace, minimum_jerk_chunk
from chunk_ppo_ros.sim.geometry import solve_reach, split_arms

if TYPE_CHECKING:
    from chunk_ppo_ros.sim.tasks.reach import ReachScene


class ReachExpert:
    """Brings both grasp points to their targets. `Expert` documents its methods."""

    def __init__(self, config: TrainConfig) -> None:
        """Reads `model.action_horizon`, `pretrain.aim_noise` and `pretrain.min_pace` of the configuration."""
        self._config = config

    def plan(self, state: np.ndarray, scene: ReachScene, *, random: np.random.Generator) -> PlannedChunk:
        """Returns a chunk that covers a random part of the way to the targets."""
        pace = draw_pace(self._config, random)
        disturbed = scene.targets + self._config.pretrain.aim_noise * random.standard_normal((2, 3))
        horizon = self._config.model.action_horizon
        intended, executed = (
            plan_reach(state, points, horizon=horizon, pace=pace) for points in (scene.targets, disturbed)
        )
        return PlannedChunk(intended, executed)


def plan_reach(state: np.ndarray, points: np.ndarray, *, horizon: int, pace: float = 1.0) -> np.ndarray:
    """Returns a chunk from `state` towards `points`. Wrists and grippers stay as they are.

    Args:
        state: float [14], the present state, rad, grippers normalized.
        points: float [2, 3], the wanted grasp points, m.
        horizon: the number H of control steps.
        pace: the part of the way that the chunk covers, 0..1.

    Returns:
        The targets float32 [H, 14], rad, grippers normalized.
    """
    joints = split_arms(state)
    return minimum_jerk_chunk(state, pace * (solve_reach(joints, points).joints - joints), horizon=horizon)
