"""The scripted expert of the reach task.

It means to move waist, shoulder and elbow of each arm to the true targets. What is executed is the path to a disturbed
aim, an independent Gaussian error each chunk. The pace is random: a chunk covers a random part of the remaining way.
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
    """Brings both grasp points to their targets; see `Expert`."""

    def __init__(self, config: TrainConfig) -> None:
        """Takes `model.action_horizon`, `pretrain.aim_noise` and `pretrain.min_pace`."""
        self._config = config

    def plan(self, state: np.ndarray, scene: ReachScene, *, random: np.random.Generator) -> PlannedChunk:
        """Returns a chunk that covers a random part of the way to the targets."""
        pace = draw_pace(self._config, random)
        disturbed = scene.targets + self._config.pretrain.aim_noise * random.standard_normal((2, 3))
        horizon = self._config.model.action_horizon
        intended, executed = (
            plan_reach(state, aims, horizon=horizon, pace=pace) for aims in (scene.targets, disturbed)
        )
        return PlannedChunk(intended, executed)


def plan_reach(state: np.ndarray, aims: np.ndarray, *, horizon: int, pace: float = 1.0) -> np.ndarray:
    """Returns a chunk from `state` towards `aims`; wrists and grippers hold.

    Args:
        state: [14], present state.
        aims: [2, 3], where each grasp point shall go, m.
        horizon: H, control steps.
        pace: part of the way that the chunk covers, 0..1.

    Returns:
        float32 [H, 14].
    """
    joints = split_arms(state)
    return minimum_jerk_chunk(state, pace * (solve_reach(joints, aims).joints - joints), horizon=horizon)
