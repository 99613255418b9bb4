"""What a scripted expert is, and the motion that all of them make: minimum-jerk chunks within a human's speed.

An expert plans chunk by chunk. What it intends is a function of the present state, the true scene and a random pace
only, so that a policy without memory can imitate it; what is executed may be a disturbed version of it, so that the
recorded states include those from which an imperfect policy must recover (noise injection: Laskey et al., 2017,
"DART").
"""

from __future__ import annotations

import dataclasses
from typing import Protocol, TypeVar

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.geometry import NUM_ARM_JOINTS

TaskSceneT = TypeVar("TaskSceneT", contravariant=True)
"""The scene as one task sees it; a dataclass of that task."""

PEAK_SPEED = 2.5  # rad/s, the fastest joint at mid-chunk; below the robot's 3.14159
PEAK_OVER_MEAN_SPEED = 1.875  # of a minimum-jerk path: the derivative 30 t^2 - 60 t^3 + 30 t^4 at t = 1/2


@dataclasses.dataclass(frozen=True)
class PlannedChunk:
    """float32 [H, 14] each, absolute joint targets: what the expert means to do, and what is sent to the robot."""

    intended: np.ndarray
    executed: np.ndarray


class Expert(Protocol[TaskSceneT]):
    """A scripted expert of one task. It holds no state of an episode."""

    def plan(self, state: np.ndarray, scene: TaskSceneT, *, random: np.random.Generator) -> PlannedChunk:
        """Returns the next chunk.

        Args:
            state: [14], present state, rad and normalized grippers.
            scene: the true scene, as the task sees it.
            random: draws the pace and the disturbances.
        """


def draw_pace(config: TrainConfig, random: np.random.Generator) -> float:
    """Returns a pace in `pretrain.min_pace`..1, mostly slow: imitation is then slower than it could be.

    Reinforcement learning can find the quick chunks among those that were demonstrated.
    """
    slowest = config.pretrain.min_pace
    return slowest + (1.0 - slowest) * random.uniform() ** 2


def minimum_jerk_chunk(
    state: np.ndarray, ways: np.ndarray, *, horizon: int, openings: np.ndarray | None = None, pace: float = 1.0
) -> np.ndarray:
    """Returns a minimum-jerk chunk from `state`, at rest at both ends.

    q(t) = q0 + (10 t^3 - 15 t^4 + 6 t^5) dq with t = 1/H .. 1 (Flash and Hogan 1985), where dq is the way of each arm,
    shortened so that its fastest joint stays below `pace` times `PEAK_SPEED`.

    Args:
        state: [14], present state.
        ways: [2, 6], by how much each joint shall move, rad.
        horizon: H, control steps of 1 / `aloha.CONTROL_RATE`.
        openings: [2], commanded to the grippers throughout, so that a grip stays firm; without them they hold.
        pace: part of the speed limit, 0..1.

    Returns:
        float32 [H, 14].
    """
    longest = pace * PEAK_SPEED / PEAK_OVER_MEAN_SPEED * horizon / aloha.CONTROL_RATE
    way = np.zeros((2, aloha.SIDE_DIM))
    way[:, :NUM_ARM_JOINTS] = ways * np.minimum(1.0, longest / np.maximum(np.abs(ways).max(1, keepdims=True), 1e-9))
    t = np.arange(1, horizon + 1)[:, None] / horizon
    path = 10.0 * t**3 - 15.0 * t**4 + 6.0 * t**5
    chunk = state + path * way.reshape(-1)
    if openings is not None:
        chunk[:, aloha.GRIPPER_INDICES] = openings
    return chunk.astype(np.float32)
