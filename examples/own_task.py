"""A task of your own: the right gripper touches a green ball, which lies anywhere on the right half of the table.

Try it, from the folder of the checkout:

    chunk_ppo check-task examples.own_task:Touch --config demo --picture touch.png
    chunk_ppo pretrain --config demo --task examples.own_task:Touch --exp_name touch
    chunk_ppo train --config demo --exp_name touching --pretrained_checkpoint_path checkpoints/touch-imitation

The expert at the end is optional. Without one, `pretrain` wants recorded episodes (examples/own_demonstrations.py).
"""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import RewardTerm
from chunk_ppo_ros.sim.experts.expert import PlannedChunk, draw_pace
from chunk_ppo_ros.sim.experts.reach import plan_reach
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import EpisodeLayout, Part, Pose, SceneObject, SceneState, Sphere
from chunk_ppo_ros.sim.tasks.task import Task

BALL = "ball"
RADIUS = 0.04  # m


class Touch(Task[SceneState]):
    """Defines the task. Its methods keep nothing from one call to the next."""

    name = "touch"
    prompt = "touch the green ball"  # It must not say what only the cameras may show.
    objects = (SceneObject(BALL, (Part(Sphere(RADIUS), (30, 200, 60)),)),)

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        """Places the ball, m: x to the right, y away from the operator, z up from the table top."""
        return EpisodeLayout({BALL: Pose(rng.uniform([0.08, 0.38, 0.12], [0.24, 0.62, 0.16]))})

    def observe(self, scene: SceneState) -> SceneState:
        """Returns what the reward needs of a scene. Here that is all of it."""
        return scene

    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        """Pays for progress towards the ball, and 1 for the touch, which ends the episode."""
        touched = distance(after) < RADIUS
        progress = RewardTerm("progress", distance(before) - distance(after), weight=5.0)
        return StepReward((progress, RewardTerm("success", float(touched))), terminated=touched, success=touched)

    def make_expert(self, config: TrainConfig) -> TouchExpert:
        """Returns the scripted expert. Leave this method and the class below out where there is none."""
        return TouchExpert(config)


def distance(scene: SceneState) -> float:
    """Returns the distance of the right grasp point from the ball, m."""
    return float(np.linalg.norm(scene.grasp_points[1] - scene.position(BALL)))


class TouchExpert:
    """Moves the right gripper some way towards the ball, and leaves the left gripper where it is."""

    def __init__(self, config: TrainConfig) -> None:
        """Keeps the settings."""
        self.config = config

    def plan(self, state: np.ndarray, scene: SceneState, *, random: np.random.Generator) -> PlannedChunk:
        """Returns what it intends, and what is executed, which misses the ball by a few centimeters."""
        points = np.stack([scene.grasp_points[0], scene.position(BALL)])
        missed = points + self.config.pretrain.aim_noise * random.standard_normal((2, 3))
        horizon, pace = self.config.model.action_horizon, draw_pace(self.config, random)
        intended, executed = (plan_reach(state, goal, horizon=horizon, pace=pace) for goal in (points, missed))
        return PlannedChunk(intended, executed)
