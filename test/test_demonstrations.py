"""Tests recorded demonstrations, and the scripted expert of reach, on the kinematic simulator."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chunk_ppo_ros.config import PRESETS, EnvConfig, EpisodeConfig, PretrainConfig, TrainConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.experts.demonstrations import (
    collect_demonstrations,
    make_expert,
    record_episode,
)
from chunk_ppo_ros.sim.experts.expert import PEAK_SPEED
from chunk_ppo_ros.sim.experts.reach import plan_reach
from chunk_ppo_ros.sim.geometry import arm_poses, split_arms
from chunk_ppo_ros.sim.simulator import make_simulator
from chunk_ppo_ros.sim.tasks.registry import TASKS, make_task

STILL_JOINTS = [3, 4, 5, 6, 10, 11, 12, 13]


def configuration(*, episodes: int, aim_noise: float, workers: int = 1, min_pace: float = 1.0) -> TrainConfig:
    pretrain = PretrainConfig(
        num_demonstrations=episodes, aim_noise=aim_noise, demonstration_workers=workers, min_pace=min_pace
    )
    return dataclasses.replace(PRESETS["debug"], env=EnvConfig(simulator="kinematic"), pretrain=pretrain)


def plan_towards(offset: list[float]) -> np.ndarray:
    """Returns the chunk from the start pose to points `offset` meters from the grasp points."""
    aims = arm_poses(split_arms(aloha.START_POSE)).grasp_points + offset
    return plan_reach(aloha.START_POSE, aims, horizon=16)


def test_a_short_plan_arrives_at_rest():
    chunk = plan_towards([0.0, 0.04, -0.05])
    reached = arm_poses(split_arms(chunk[-1])).grasp_points
    moved = reached - arm_poses(split_arms(aloha.START_POSE)).grasp_points
    np.testing.assert_allclose(moved, [[0, 0.04, -0.05]] * 2, atol=1e-4)
    way = chunk[-1] - aloha.START_POSE
    # The path 10 t^3 - 15 t^4 + 6 t^5 is 1.25 - 0.9375 + 0.1875 = 0.5 at t = 1/2 (step 8), and 0.15625 - 0.05859 +
    # 0.00586 = 0.10352 at t = 1/4 (step 4).
    np.testing.assert_allclose(chunk[7] - aloha.START_POSE, 0.5 * way, atol=1e-6)
    np.testing.assert_allclose(chunk[3] - aloha.START_POSE, 0.10352 * way, atol=1e-5)
    np.testing.assert_allclose(chunk[:, STILL_JOINTS], np.tile(aloha.START_POSE[STILL_JOINTS], (16, 1)), atol=1e-6)


def test_a_long_plan_stops_on_the_way():
    chunk = plan_towards([0.0, 0.3, -0.1])
    way = np.abs(chunk[-1] - aloha.START_POSE)
    # The peak speed of a minimum-jerk way d within 0.32 s is 1.875 d / 0.32 s. So 2.5 rad/s allow d = 0.42667 rad.
    np.testing.assert_allclose([way[:7].max(), way[7:].max()], 0.42667, atol=1e-5)
    speeds = np.abs(np.diff(chunk, axis=0)) * 50.0
    assert 0.95 * PEAK_SPEED < speeds.max() <= PEAK_SPEED < 3.14159


def test_a_perfect_aim_always_succeeds():
    demonstrations = collect_demonstrations(configuration(episodes=60, aim_noise=0.0), render=False)
    assert demonstrations.success.all()
    assert np.bincount(demonstrations.episodes).max() <= 2  # two chunks are enough


def test_disturbances_and_a_slow_pace_spoil_executions():
    perfect = collect_demonstrations(configuration(episodes=60, aim_noise=0.0), render=False)
    disturbed = collect_demonstrations(configuration(episodes=60, aim_noise=0.06), render=False)
    slow = collect_demonstrations(configuration(episodes=60, aim_noise=0.0, min_pace=0.1), render=False)
    assert 0.05 < np.mean(disturbed.success) < 0.5 < np.mean(perfect.success)
    assert np.bincount(disturbed.episodes).max() == 4  # the time limit
    totals = np.bincount(disturbed.episodes, disturbed.rewards)
    assert totals[disturbed.success].mean() > totals[~disturbed.success].mean() + 0.8
    assert np.mean(slow.success) < 0.9 < np.mean(perfect.success)


def test_pace_scales_the_way():
    state, aims = aloha.START_POSE, np.array([[-0.18, 0.48, 0.2], [0.18, 0.48, 0.2]])
    whole, half = (plan_reach(state, aims, horizon=16, pace=pace) - state for pace in (1.0, 0.5))
    assert np.allclose(half, 0.5 * whole, atol=1e-6)


def test_recorded_arrays_belong_together():
    config = configuration(episodes=5, aim_noise=0.04)
    calls = []
    demonstrations = collect_demonstrations(config, on_episode=lambda: calls.append(1))
    chunks = len(demonstrations.actions)
    assert len(calls) == len(demonstrations.success) == 5
    assert demonstrations.images.shape == (chunks, 3, 64, 64, 3)
    assert demonstrations.images.dtype == np.uint8
    assert demonstrations.image_mask.shape == (chunks, 3)
    assert demonstrations.image_mask.all()
    assert demonstrations.actions.shape == (chunks, 16, 14)
    assert demonstrations.state.shape == (chunks, 14)
    assert demonstrations.rewards.shape == demonstrations.episodes.shape == (chunks,)
    assert np.all(np.diff(demonstrations.episodes) >= 0)
    assert set(demonstrations.episodes) == set(range(5))
    assert demonstrations.prompts == (make_simulator(config).prompt,) * 5

    # Each chunk starts next to the state that it was recorded with.
    assert np.abs(demonstrations.actions[:, 0] - demonstrations.state).max() < 0.05


def test_demonstrations_have_the_prompts_of_the_run() -> None:
    config = dataclasses.replace(
        configuration(episodes=6, aim_noise=0.0), episode=EpisodeConfig(prompts=("2=reach", "touch both"))
    )
    assert collect_demonstrations(config, render=False).prompts == ("reach", "touch both", "reach") * 2


@pytest.mark.parametrize("aim_noise", [0.0, 0.04])
def test_a_state_is_where_the_intended_chunk_led_unless_it_was_disturbed(aim_noise: float):
    demonstrations = collect_demonstrations(configuration(episodes=10, aim_noise=aim_noise), render=False)
    same_episode = np.diff(demonstrations.episodes) == 0
    assert same_episode.any()
    away = np.abs(demonstrations.state[1:] - demonstrations.actions[:-1, -1])[same_episode].max(axis=1)
    assert np.all(away < 1e-5) if aim_noise == 0.0 else np.all(away > 1e-3)


def test_the_same_for_any_number_of_workers():
    one, two = (
        collect_demonstrations(configuration(episodes=6, aim_noise=0.04, workers=workers)) for workers in (1, 2)
    )
    for field in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name), err_msg=field.name)


def test_the_aim_differs_between_episodes_and_repeats_with_the_seed():
    config = configuration(episodes=1, aim_noise=0.04)
    simulator = make_simulator(config)
    one, same, other = (record_episode(simulator, config, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.actions, same.actions)
    assert np.any(one.actions[0] != other.actions[0])


def test_without_rendering_there_are_no_images():
    demonstrations = collect_demonstrations(configuration(episodes=2, aim_noise=0.0), render=False)
    assert demonstrations.images.shape == (len(demonstrations.actions), 0, 64, 64, 3)
    assert demonstrations.image_mask.shape == (len(demonstrations.actions), 0)


def test_every_task_of_this_package_has_a_scripted_expert():
    for name in TASKS.own_names():
        config = dataclasses.replace(PRESETS["debug"], env=EnvConfig(task=name))
        assert make_expert(make_task(config.env), config)
