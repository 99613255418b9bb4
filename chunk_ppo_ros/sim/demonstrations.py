"""Scripted demonstrations of the reach task, with disturbances from which they recover.

The operator sees the true targets. At each chunk boundary it means to move waist, shoulder and elbow of each arm to
them along a minimum-jerk path, as far as a human speed allows within the chunk; that intended chunk is recorded. What
is executed is the path to a disturbed aim (an independent Gaussian error each chunk), so that the recorded states
include those from which an imperfect policy must recover (noise injection: Laskey et al., 2017, "DART"). Operators
differ in pace: a chunk covers a random part of the remaining way, mostly little, so that imitation is slower than the
time limit wants; reinforcement learning can find the quick ones. Each intended chunk depends on the present state, the
targets and the pace only, so that a policy without memory can imitate it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np

from chunk_ppo_ros import seeds
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.execution import ChunkExecutor
from chunk_ppo_ros.sim.geometry import NUM_ARM_JOINTS, solve_reach, split_arms
from chunk_ppo_ros.sim.simulator import Simulator, make_simulator
from chunk_ppo_ros.sim.tasks import make_task
from chunk_ppo_ros.workers import worker_pool

PEAK_SPEED = 2.5  # rad/s, the fastest joint at mid-chunk; below the robot's 3.14159
PEAK_OVER_MEAN_SPEED = 1.875  # of a minimum-jerk path: the derivative 30 t^2 - 60 t^3 + 30 t^4 at t = 1/2


@dataclasses.dataclass(frozen=True)
class Demonstrations:
    """Demonstrated chunks, N over all E episodes in order.

    Attributes:
        images: uint8 [N, C, h, w, 3], at the start of each chunk; C is 0 where they were not rendered.
        image_mask: bool [N, C].
        state: float32 [N, 14], rad, grippers normalised.
        actions: float32 [N, H, 14], absolute joint targets, the whole chunk as intended.
        rewards: float32 [N], sum of the weighted terms of each chunk.
        episodes: int32 [N], number of each chunk's episode, 0..E-1.
        success: bool [E], whether the operator solved the task in time.
        prompt: the task in words.
    """

    images: np.ndarray
    image_mask: np.ndarray
    state: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    episodes: np.ndarray
    success: np.ndarray
    prompt: str


@dataclasses.dataclass(frozen=True)
class EpisodeRecording:
    """One demonstrated episode of n chunks: the fields of `Demonstrations` with n in the place of N."""

    images: np.ndarray
    state: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    success: bool


def plan_chunk(
    state: np.ndarray, aims: np.ndarray, *, horizon: int, control_rate: float, pace: float = 1.0
) -> np.ndarray:
    """A minimum-jerk chunk from `state` towards `aims`, at rest at both ends.

    q(t) = q0 + (10 t^3 - 15 t^4 + 6 t^5) dq with t = 1/H .. 1 (Flash and Hogan 1985), where dq is `pace` times the way
    of each arm, shortened so that its fastest joint stays below `PEAK_SPEED`.

    Args:
        state: [14], present state.
        aims: [2, 3], where each grasp point shall go, m.
        horizon: H, control steps.
        control_rate: Hz.
        pace: part of the way that the chunk covers, 0..1.

    Returns:
        float32 [H, 14]; wrists and grippers hold.
    """
    joints = split_arms(state)
    ways = pace * (solve_reach(joints, aims).joints - joints)
    longest = PEAK_SPEED / PEAK_OVER_MEAN_SPEED * horizon / control_rate
    ways *= np.minimum(1.0, longest / np.maximum(np.abs(ways).max(axis=1, keepdims=True), 1e-9))
    way = np.zeros((2, aloha.SIDE_DIM))
    way[:, :NUM_ARM_JOINTS] = ways
    t = np.arange(1, horizon + 1)[:, None] / horizon
    path = 10.0 * t**3 - 15.0 * t**4 + 6.0 * t**5
    return (state + path * way.reshape(-1)).astype(np.float32)


def record_episode(
    simulator: Simulator, config: TrainConfig, *, seed: int, aim_noise: float, render: bool = True
) -> EpisodeRecording:
    """Demonstrates one episode until success or the time limit.

    Args:
        simulator: with the reach task.
        config: `model.action_horizon`, `env.max_episode_chunks` and `robot`.
        seed: of the episode's start and of the disturbances.
        aim_noise: standard deviation of the disturbance of the executed aim in each direction, m.
        render: whether to record images.

    Raises:
        ValueError: if the task has no targets.
    """
    executor = ChunkExecutor(simulator, config.robot)
    executor.reset(seed=seed)
    aim_random = np.random.default_rng([seed, 1])
    images: list[np.ndarray] = []
    states: list[np.ndarray] = []
    actions: list[np.ndarray] = []
    rewards: list[float] = []
    success = False
    while len(actions) < config.env.max_episode_chunks and not success:
        targets = simulator.scene().targets
        if targets is None:
            raise ValueError(f"env.task must be reach to be demonstrated, got {config.env.task!r}; no script knows it")
        images.append(simulator.render() if render else _no_images(config))
        states.append(simulator.state())
        slowest = config.pretrain.min_pace
        pace = slowest + (1.0 - slowest) * aim_random.uniform() ** 2
        disturbed = targets + aim_noise * aim_random.standard_normal((2, 3))
        intended, executed = (
            plan_chunk(
                states[-1],
                aims,
                horizon=config.model.action_horizon,
                control_rate=simulator.control_rate,
                pace=pace,
            )
            for aims in (targets, disturbed)
        )
        actions.append(intended)
        execution = executor.execute(executed)
        rewards.append(execution.reward)
        success = execution.success
    return EpisodeRecording(
        np.stack(images), np.stack(states), np.stack(actions), np.array(rewards, np.float32), success
    )


def collect_demonstrations(
    config: TrainConfig, *, render: bool = True, on_episode: Callable[[], object] = lambda: None
) -> Demonstrations:
    """Demonstrates `pretrain.num_demonstrations` episodes in the configured simulator.

    The result does not depend on the number of workers: each episode has a seed of its own.

    Args:
        config: `pretrain.aim_noise`, `pretrain.demonstration_workers`, `run.seed`, the simulator and the model's sizes.
        render: whether to record images.
        on_episode: called after each episode, in order.

    Raises:
        SimulatorUnavailable: when the simulator cannot run here.
    """
    recordings = []
    for recording in _recordings(config, render):
        recordings.append(recording)
        on_episode()
    lengths = [len(recording.actions) for recording in recordings]
    images = np.concatenate([recording.images for recording in recordings])
    return Demonstrations(
        images=images,
        image_mask=np.ones(images.shape[:2], bool),
        state=np.concatenate([recording.state for recording in recordings]),
        actions=np.concatenate([recording.actions for recording in recordings]),
        rewards=np.concatenate([recording.rewards for recording in recordings]),
        episodes=np.repeat(np.arange(len(recordings), dtype=np.int32), lengths),
        success=np.array([recording.success for recording in recordings]),
        prompt=config.run.prompt or make_task(config.env.task).prompt,
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
    """Made once in each worker process, which takes it along when it exits."""
    return make_simulator(config, render=render)


def _record_numbered(simulator: Simulator, config: TrainConfig, render: bool, episode: int) -> EpisodeRecording:
    seed = seeds.episode_seed(seeds.DEMONSTRATION, run_seed=config.run.seed, episode=episode)
    return record_episode(simulator, config, seed=seed, aim_noise=config.pretrain.aim_noise, render=render)


def _no_images(config: TrainConfig) -> np.ndarray:
    return np.zeros((0, config.model.image_size, config.model.image_size, 3), np.uint8)
