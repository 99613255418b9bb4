"""Defines what a scripted expert is, and the minimum-jerk chunks within a human's speed that all experts make.

An expert plans chunk by chunk. What it intends depends only on the present state, the true scene and a random pace, so
that a policy without memory can imitate it. What is executed may be a disturbed version of it. The recorded states then
include those from which an imperfect policy must recover (noise injection: Laskey et al., 2017, "DART").
"""

from __future__ import annotations

import dataclasses
from typing import Protocol, TypeVar

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.geometry import NUM_ARM_JOINTS

TaskSceneT = TypeVar("TaskSceneT", contravariant=True)
"""The type of what one task reads of a scene. It is a dataclass of that task."""

PEAK_SPEED = 2.5  # rad/s, the limit of the fastest joint at mid-chunk; it lies below the robot's limit of 3.14159
# The peak speed over the mean speed of a minimum-jerk path, which is 30 t^2 - 60 t^3 + 30 t^4 at t = 1/2.
PEAK_OVER_MEAN_SPEED = 1.875


@dataclasses.dataclass(frozen=True)
class PlannedChunk:
    """Holds a chunk that an expert planned.

    Attributes:
        intended: float32 [H, 14], the absolute joint targets that the expert intends, rad, grippers normalized.
        executed: float32 [H, 14], the targets that are sent to the robot.
    """

    intended: np.ndarray
    executed: np.ndarray


class Expert(Protocol[TaskSceneT]):
    """Demonstrates one task by a script. It holds no state of an episode."""

    def plan(self, state: np.ndarray, scene: TaskSceneT, *, random: np.random.Generator) -> PlannedChunk:
        """Returns the next chunk.

        Args:
            state: float [14], the present state, rad and normalized grippers.
            scene: what the task reads of the true scene.
            random: the generator of the pace and of the disturbances.
        """


def draw_pace(config: TrainConfig, random: np.random.Generator) -> float:
    """Returns a random pace in `pretrain.min_pace`..1, which is mostly slow.

    Imitation is then slower than it could be, and reinforcement learning can find the quick chunks among the
    demonstrated ones.
    """
    slowest = config.pretrain.min_pace
    return slowest + (1.0 - slowest) * random.uniform() ** 2


def minimum_jerk_chunk(
    state: np.ndarray, ways: np.ndarray, *, horizon: int, openings: np.ndarray | None = None, pace: float = 1.0
) -> np.ndarray:
    """Returns a minimum-jerk chunk from `state`, at rest at both ends.

    The path is q(t) = q0 + (10 t^3 - 15 t^4 + 6 t^5) dq with t = 1/H .. 1 (Flash and Hogan 1985). Here dq is the way of
    each arm, shortened so that its fastest joint stays below `pace` times `PEAK_SPEED`.

    Args:
        state: float [14], the present state, rad, grippers normalized.
        ways: float [2, 6], the wanted change of each joint, rad.
        horizon: the number H of control steps of 1 / `aloha.CONTROL_RATE`.
        openings: float [2], the openings that the grippers are commanded in the whole chunk, so that a grip stays firm.
            Without them the grippers stay as they are.
        pace: the share of the speed limit, 0..1.

    Returns:
        The targets float32 [H, 14], rad, grippers normalized.
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
