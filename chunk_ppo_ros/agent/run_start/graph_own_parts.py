"""Tries the task and the rewards of somebody else before the nodes of a graph are started for them."""

from __future__ import annotations

from contextlib import closing

from chunk_ppo_ros.agent.env import check_rewards
from chunk_ppo_ros.config import TASK_SOURCE, TrainConfig
from chunk_ppo_ros.rewards.execution_terms import execution_terms
from chunk_ppo_ros.rewards.terms import check_settings
from chunk_ppo_ros.sim.chunk_executor import ChunkExecutor
from chunk_ppo_ros.sim.simulator import make_simulator
from chunk_ppo_ros.sim.tasks.registry import is_ours, make_task


def check_own_parts(config: TrainConfig) -> None:
    """Tries a task and reward terms of somebody else for one step, before processes are started for them.

    Raises:
        SettingError, RewardError, RegistryError, TaskError: for a part that cannot be used; the text names it.
    """
    check_settings(config.reward)
    if not config.env.has_scene:
        return
    make_task(config.env)
    reward = config.reward
    if is_ours(config.env) and not reward.scene_weights and not reward.execution_weights:
        return
    with closing(make_simulator(config, render=False, name=config.env.scene_simulator)) as simulator:
        if reward.sources == (TASK_SOURCE,):
            check_rewards(simulator, config)
            return
        actions = simulator.state().astype(float)[None]
        execution, _ = ChunkExecutor(simulator, config.robot).execute(actions)
        execution_terms(execution, actions, reward)
