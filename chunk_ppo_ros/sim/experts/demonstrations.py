"""Records what a scripted expert of the configured task does, as data for imitation."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.core.types import total_reward
from chunk_ppo_ros.runtime.process_pool import worker_pool
from chunk_ppo_ros.sim.chunk_executor import ChunkExecutor
from chunk_ppo_ros.sim.experts.expert import Expert
from chunk_ppo_ros.sim.interface import Simulator
from chunk_ppo_ros.sim.simulator import make_simulator
from chunk_ppo_ros.sim.tasks.registry import make_task, prompt_schedule
from chunk_ppo_ros.sim.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Demonstrations:
    """Holds the N demonstrated chunks of E episodes, in order.

    Attributes:
        images: uint8 [N, C, h, w, 3], the images at the start of each chunk. C is 0 where they were not rendered.
        image_mask: bool [N, C], true where a camera has an image.
        state: float32 [N, 14], the state at the start of each chunk, rad, grippers normalized.
        actions: float32 [N, H, 14], the absolute joint targets that the expert intended for the whole chunk.
        rewards: float32 [N], the sum of the weighted terms of each chunk.
        episodes: int32 [N], the number of each chunk's episode, 0..E-1.
        success: bool [E], whether the expert solved the task in time.
        prompts: the task of each of the E episodes in words.
    """

    images: np.ndarray
    image_mask: np.ndarray
    state: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    episodes: np.ndarray
    success: np.ndarray
    prompts: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class EpisodeRecording:
    """Holds one demonstrated episode of n chunks, with the fields of `Demonstrations` for n instead of N chunks."""

    images: np.ndarray
    state: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    success: bool


def make_expert(task: Task[Any], config: TrainConfig) -> Expert[Any]:
    """Returns the scripted expert of a task.

    Raises:
        SettingError: for a task that has no scripted expert.
    """
    expert = task.make_expert(config)
    if expert is None:
        raise SettingError(
            f"env.task must have a scripted expert to be demonstrated, got {config.env.task!r}, which has none; "
            "imitate recorded episodes (--episodes), or give the task a make_expert"
        )
    return expert


def record_episode(simulator: Simulator, config: TrainConfig, *, seed: int, render: bool = True) -> EpisodeRecording:
    """Demonstrates one episode until an end state of the task or the time limit.

    Args:
        simulator: a simulator of the task `env.task`.
        config: the settings, of which `env`, `pretrain`, `robot` and the sizes of the model are read.
        seed: the seed of the episode's start, of paces and of disturbances.
        render: whether to record images.
    """
    task = make_task(config.env)
    expert = make_expert(task, config)
    executor = ChunkExecutor(simulator, config.robot)
    executor.reset(seed=seed)
    random = np.random.default_rng([seed, 1])
    images: list[np.ndarray] = []
    states: list[np.ndarray] = []
    actions: list[np.ndarray] = []
    rewards: list[float] = []
    ended = success = False
    while len(actions) < config.env.max_episode_chunks and not ended:
        images.append(simulator.render() if render else _no_images(config))
        states.append(simulator.state())
        planned = expert.plan(states[-1], task.observe(simulator.scene()), random=random)
        actions.append(planned.intended)
        _, reward = executor.execute(planned.executed)
        rewards.append(total_reward(reward.terms))
        ended, success = reward.terminated, reward.success
    return EpisodeRecording(
        np.stack(images), np.stack(states), np.stack(actions), np.array(rewards, np.float32), success
    )


def collect_demonstrations(
    config: TrainConfig, *, render: bool = True, on_episode: Callable[[], object] = lambda: None
) -> Demonstrations:
    """Demonstrates `pretrain.num_demonstrations` episodes in the configured simulator.

    The result does not depend on the number of workers, because each episode has its own seed. Where a run has several
    prompts, they come as in its training. The expert does the same for all of them.

    Args:
        config: the settings, of which `pretrain`, `run.seed`, the task, its prompts, the simulator and the sizes of the
            model are read.
        render: whether to record images.
        on_episode: a function that is called after each episode, in order.

    Raises:
        SimulatorUnavailable: when the simulator cannot run here.
        SettingError: for a task that has no scripted expert.
    """
    task = make_task(config.env)
    make_expert(task, config)  # Refuses a task without an expert here, before a worker process refuses it.
    recordings = []
    for recording in _recordings(config, render):
        recordings.append(recording)
        on_episode()
    lengths = [len(recording.actions) for recording in recordings]
    images = np.concatenate([recording.images for recording in recordings])
    schedule = prompt_schedule(config)
    return Demonstrations(
        images=images,
        image_mask=np.ones(images.shape[:2], bool),
        state=np.concatenate([recording.state for recording in recordings]),
        actions=np.concatenate([recording.actions for recording in recordings]),
        rewards=np.concatenate([recording.rewards for recording in recordings]),
        episodes=np.repeat(np.arange(len(recordings), dtype=np.int32), lengths),
        success=np.array([recording.success for recording in recordings]),
        prompts=tuple(schedule.prompt(episode=n, num_counted=n) for n in range(len(recordings))),
    )


def _recordings(config: TrainConfig, render: bool) -> Iterator[EpisodeRecording]:
    episodes = range(config.pretrain.num_demonstrations)
    workers = min(config.pretrain.demonstration_workers, len(episodes))
    if workers > 1:
        with worker_pool(workers) as pool:
            yield from pool.imap(functools.partial(_record_in_worker, config, render), episodes, chunksize=4)
        return
    simulator = make_simulator(config, render=render)
    try:
        yield from (_record_numbered(simulator, config, render, episode) for episode in episodes)
    finally:
        simulator.close()


def _record_in_worker(config: TrainConfig, render: bool, episode: int) -> EpisodeRecording:
    return _record_numbered(_simulator_of_worker(config, render), config, render, episode)


@functools.lru_cache(maxsize=1)
def _simulator_of_worker(config: TrainConfig, render: bool) -> Simulator:
    """Returns the simulator of this worker process, which is made once and ends with the process."""
    return make_simulator(config, render=render)


def _record_numbered(simulator: Simulator, config: TrainConfig, render: bool, episode: int) -> EpisodeRecording:
    seed = seeds.episode_seed(seeds.DEMONSTRATION, run_seed=config.run.seed, episode=episode)
    return record_episode(simulator, config, seed=seed, render=render)


def _no_images(config: TrainConfig) -> np.ndarray:
    return np.zeros((0, config.model.image_size, config.model.image_size, 3), np.uint8)
