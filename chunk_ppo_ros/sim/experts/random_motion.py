"""Draws smooth random motions of both arms, to which tokenizers are fitted where a task has no scripted expert."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.experts.expert import draw_pace, minimum_jerk_chunk
from chunk_ppo_ros.sim.geometry import split_arms


@dataclasses.dataclass(frozen=True)
class RandomMotions:
    """Holds N random chunks.

    Attributes:
        state: float32 [N, 14], the state at the start of each chunk, rad, grippers normalized.
        actions: float32 [N, H, 14], the absolute joint targets, rad, grippers normalized.
        prompts: the tasks in words, of any number.
    """

    state: np.ndarray
    actions: np.ndarray
    prompts: tuple[str, ...]


def draw_motions(config: TrainConfig, *, prompts: tuple[str, ...]) -> RandomMotions:
    """Returns random chunks in `pretrain.num_demonstrations` episodes that begin at the start pose.

    Each chunk goes a random part of the way to random joints within the limits. Its path is a minimum-jerk path within
    the speed of the scripted experts, and the next chunk continues from its end. Each gripper is commanded one random
    opening for the whole chunk.

    Args:
        config: the settings, of which `pretrain`, `run.seed`, `env.max_episode_chunks` and `model.action_horizon` are
            read.
        prompts: the tasks in words.
    """
    states, chunks = [], []
    for episode in range(config.pretrain.num_demonstrations):
        seed = seeds.episode_seed(seeds.DEMONSTRATION, run_seed=config.run.seed, episode=episode)
        random = np.random.default_rng([seed, 2])
        state = aloha.START_POSE
        for _ in range(config.env.max_episode_chunks):
            goal = random.uniform(aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)
            pace = draw_pace(config, random)
            states.append(state)
            ways = pace * (split_arms(goal) - split_arms(state))
            openings = goal[aloha.GRIPPER_INDICES]
            chunks.append(minimum_jerk_chunk(state, ways, horizon=config.model.action_horizon, openings=openings))
            state = chunks[-1][-1].astype(float)
    return RandomMotions(np.array(states, np.float32), np.array(chunks), prompts)
