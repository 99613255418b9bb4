"""Tests layouts and rewards of the tasks, on scenes written by hand."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from chunk_ppo_ros.config import MUJOCO, PRESETS, REAL_ROBOT, SIMULATORS, EnvConfig, choices
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim import simulator
from chunk_ppo_ros.sim.geometry import arm_poses, solve_reach, split_arms
from chunk_ppo_ros.sim.scene import FINGERS, TABLE, EpisodeLayout, Pose, SceneState
from chunk_ppo_ros.sim.simulator import make_simulator
from chunk_ppo_ros.sim.tasks import reach
from chunk_ppo_ros.sim.tasks.reach import ReachScene, ReachTask
from chunk_ppo_ros.sim.tasks.registry import TASKS, make_task
from chunk_ppo_ros.sim.tasks.task import START_NOISE, sample_start
from chunk_ppo_ros.sim.tasks.transfer_cube import CUBE, TransferCubeTask, TransferScene, transfer_stage

TARGETS = np.array([[-0.1, 0.5, 0.1], [0.1, 0.5, 0.1]])


def reach_scene(left: float, right: float) -> ReachScene:
    """Returns a scene with the grasp points `left` and `right` meters above their targets."""
    return ReachScene(TARGETS + np.array([[0, 0, left], [0, 0, right]]), TARGETS)


def placed_targets(layout: EpisodeLayout) -> np.ndarray:
    """Returns targets [2, 3], m."""
    return np.stack([layout.poses[name].position for name in reach.TARGETS])


def test_progress_is_the_decrease_of_the_summed_logarithms():
    # The left arm has ln(0.22 / 0.17) = 0.25783, and the right one ln(0.12 / 0.14) = -0.15415. Their sum is taken times
    # 0.5.
    reward = ReachTask().step_reward(reach_scene(0.20, 0.10), reach_scene(0.15, 0.12))
    progress, success = reward.terms
    assert (progress.name, success.name) == ("progress", "success")
    assert progress.value == pytest.approx(0.10368, abs=1e-5)
    assert progress.weight * progress.value == pytest.approx(0.05184, abs=1e-5)
    assert success.value == 0.0
    assert not reward.terminated
    assert not reward.success


@pytest.mark.parametrize(
    ("left", "right", "success"), [(0.039, 0.039, True), (0.039, 0.041, False), (0.041, 0.039, False)]
)
def test_both_grasp_points_must_be_within_four_centimeters(left, right, success):
    reward = ReachTask().step_reward(reach_scene(0.1, 0.1), reach_scene(left, right))
    assert reward.success is success
    assert reward.terminated is success
    assert reward.terms[1].value == float(success)


def test_reach_needs_targets():
    with pytest.raises(ValueError, match="the scene must have the object left_target, got cube"):
        ReachTask().observe(SceneState(TARGETS, {CUBE: Pose(TARGETS[0])}))


def test_start_grasp_point_is_that_of_the_start_pose():
    # The shoulder is at (-0.469, 0.5, 0.12705). The upper arm at -0.96 rad is 0.05955 cos(0.96) - 0.3 sin(0.96) =
    # -0.21160 forward and 0.05955 sin(0.96) + 0.3 cos(0.96) = 0.22083 up. The forearm at 0.2 rad is 0.3 cos(0.2) =
    # 0.29402 forward and -0.3 sin(0.2) = -0.05960 up. The gripper at -0.1 rad is 0.199744 cos(0.1) = 0.19875 forward
    # and 0.199744 sin(0.1) = 0.01994 up. The sums are x = -0.469 - 0.21160 + 0.29402 + 0.19875 = -0.18783 and z =
    # 0.12705 + 0.22083 - 0.05960 + 0.01994 = 0.30822.
    point = arm_poses(split_arms(aloha.START_POSE)).grasp_points[0]
    np.testing.assert_allclose(point, [-0.18783, 0.5, 0.30822], atol=2e-5)
    np.testing.assert_allclose(point, reach.START_GRASP_POINT, atol=1e-4)


def test_targets_lie_in_their_boxes_off_the_start_and_within_reach():
    random = np.random.default_rng(0)
    start = split_arms(aloha.START_POSE)
    distances = []
    for _ in range(300):
        targets = placed_targets(ReachTask().sample_layout(random))
        mirrored = targets * reach.MIRROR
        assert np.all((mirrored >= reach.TARGET_LOW) & (mirrored <= reach.TARGET_HIGH))
        distances.append(np.linalg.norm(mirrored - reach.START_GRASP_POINT, axis=1))
        assert np.all(np.abs(targets[:, 1] - 0.5) >= reach.TARGET_SIDE_GAP)
        assert np.all(solve_reach(start, targets).residuals < 0.01)
    # No start is within the success radius even with every joint 0.02 rad off, which moves the grasp point by less than
    # 3 cm.
    assert np.min(distances) >= reach.TARGET_CLEARANCE > reach.SUCCESS_RADIUS + 0.03
    # A whole approach, to the success radius, is worth about 1.
    ways = np.log((np.array(distances) + reach.PROGRESS_SCALE) / (reach.SUCCESS_RADIUS + reach.PROGRESS_SCALE))
    assert 0.8 < reach.PROGRESS_WEIGHT * np.mean(np.sum(ways, axis=1)) < 1.3


def test_starts_depend_on_their_seed_alone():
    one, same, other = (sample_start(ReachTask(), seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.state, same.state)
    np.testing.assert_array_equal(placed_targets(one.layout), placed_targets(same.layout))
    assert np.any(placed_targets(one.layout) != placed_targets(other.layout))
    deviations = np.abs(one.state - aloha.START_POSE)
    assert 0.0 < deviations[aloha.ARM_INDICES].max() <= START_NOISE
    assert np.all(deviations[aloha.GRIPPER_INDICES] == 0.0)


def test_the_robots_noise_does_not_change_the_scene():
    with_noise, without = (sample_start(ReachTask(), seed=5, noise=noise) for noise in (0.02, 0.0))
    np.testing.assert_array_equal(placed_targets(with_noise.layout), placed_targets(without.layout))
    np.testing.assert_array_equal(without.state, aloha.START_POSE)


@pytest.mark.parametrize(
    ("touches", "grips", "stage"),
    [
        ([], [], 0),
        (["table"], [], 0),
        (["right_gripper", "table"], ["right"], 1),
        (["right_gripper"], ["right"], 2),
        (["left_gripper", "table"], ["left"], 3),
        (["left_gripper", "right_gripper", "table"], [], 3),
        (["left_gripper", "right_gripper"], ["left", "right"], 4),
        (["left_gripper"], [], 4),  # one finger: it may be falling
        (["left_gripper"], ["left"], 5),
    ],
)
def test_transfer_stages(touches, grips, stage):
    assert transfer_stage(cube_scene(touches, grips)) == stage


def cube_scene(touches: list[str], grips: list[str], *, height: float = 0.0) -> TransferScene:
    """Returns a scene with the grasp points `TARGETS`, 0.1 m above the table.

    The cube is between them, `height` below them.
    """
    cube = TARGETS.mean(axis=0) - [0.0, 0.0, height]
    fingers = [finger for side in grips for finger in FINGERS[side]]
    fingers += [FINGERS[side][0] for side in FINGERS if f"{side}_gripper" in touches]
    touched = frozenset([*fingers, *(TABLE for name in touches if name == TABLE)])
    return TransferCubeTask().observe(SceneState(TARGETS, {CUBE: Pose(cube)}, {CUBE: touched}))


def test_the_stage_reward_is_the_increase_of_the_stage():
    scenes = [
        cube_scene(["table"], []),
        cube_scene(["right_gripper", "table"], ["right"]),
        cube_scene(["right_gripper"], ["right"]),
        cube_scene(["table"], []),
        cube_scene(["left_gripper"], ["left"]),
    ]
    rewards = [TransferCubeTask().step_reward(*pair) for pair in itertools.pairwise(scenes)]
    assert [reward.terms[0].value for reward in rewards] == [1.0, 1.0, -2.0, 5.0]  # the sum is the last stage
    assert [reward.success for reward in rewards] == [reward.terminated for reward in rewards] == [False] * 3 + [True]


def test_the_way_to_the_cube_is_that_of_both_arms():
    # The cube is 0.1 m to the side of each grasp point, and 0.075 m below them at first. Each is sqrt(0.1^2 + 0.075^2)
    # = 0.125 m away, then 0.1 m. Two times 0.025 m at 2 / m is 0.1.
    reward = TransferCubeTask().step_reward(cube_scene([], [], height=0.075), cube_scene([], []))
    progress = reward.terms[1]
    assert progress.name == "progress"
    assert progress.weight * progress.value == pytest.approx(0.1)


@pytest.mark.parametrize(("height", "lost"), [(0.14, False), (0.16, True)])  # the cube at -0.04 m, at -0.06 m
def test_a_cube_off_the_table_ends_the_episode_without_success(height: float, lost: bool):
    reward = TransferCubeTask().step_reward(cube_scene([], []), cube_scene([], [], height=height))
    assert (reward.terminated, reward.success) == (lost, False)


def test_transfer_needs_a_cube():
    with pytest.raises(ValueError, match="the scene must have the object cube, got none"):
        TransferCubeTask().observe(SceneState(TARGETS))


def test_cubes_rest_on_the_right_half_of_the_table():
    layout = TransferCubeTask().sample_layout(np.random.default_rng(0))
    assert set(layout.poses) == {CUBE}
    x, y, z = layout.poses[CUBE].position
    assert 0.0 <= x <= 0.2
    assert 0.4 <= y <= 0.6
    assert z == 0.02


def test_the_cube_keeps_to_the_share_of_its_range():
    task = make_task(EnvConfig(task="transfer_cube", task_settings=("cube_spread=0.5",)))
    random = np.random.default_rng(0)
    places = np.stack([task.sample_layout(random).poses[CUBE].position for _ in range(400)])
    # The box is half of 0.2 m by 0.2 m about (0.1, 0.5). The extremes of 400 uniform draws are within 2 mm of the
    # bounds.
    np.testing.assert_allclose(places.min(axis=0), [0.05, 0.45, 0.02], atol=2e-3)
    np.testing.assert_allclose(places.max(axis=0), [0.15, 0.55, 0.02], atol=2e-3)


def test_every_task_of_this_package_can_be_made():
    for name in TASKS.own_names():
        task = make_task(EnvConfig(task=name))
        assert task.name == name
        assert sample_start(task, seed=0).layout.poses.keys() == {each.name for each in task.objects}


def test_a_real_robot_has_no_simulator():
    config = dataclasses.replace(PRESETS["debug"], env=EnvConfig(simulator="none"))
    with pytest.raises(ValueError, match="must be mujoco or kinematic"):
        make_simulator(config)


def test_every_simulator_of_the_configuration_can_be_made(monkeypatch):
    assert tuple(simulator.MAKERS) == SIMULATORS
    assert choices(EnvConfig, "simulator") == (*SIMULATORS, REAL_ROBOT)
    monkeypatch.delitem(simulator.MAKERS, MUJOCO)
    config = dataclasses.replace(PRESETS["debug"], env=EnvConfig(simulator=MUJOCO))
    with pytest.raises(SettingError, match="must be kinematic to simulate, got 'mujoco'"):
        make_simulator(config)


def test_the_configured_prompt_replaces_the_tasks_own():
    config = PRESETS["debug"]
    assert make_simulator(config).prompt == ReachTask.prompt
    own = dataclasses.replace(config, run=dataclasses.replace(config.run, prompt="touch the balls"))
    assert make_simulator(own).prompt == "touch the balls"
