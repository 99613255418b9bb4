"""Tests ALOHA in MuJoCo: kinematics, tracking, images, contacts, meshes, and the choice of OpenGL."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from chunk_ppo_ros.agent.env import SimulatorEnv
from chunk_ppo_ros.config import PRESETS, EnvConfig, PretrainConfig, TrainConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim import rendering
from chunk_ppo_ros.sim.cameras import HIGH_CAMERA
from chunk_ppo_ros.sim.experts.demonstrations import record_episode
from chunk_ppo_ros.sim.geometry import arm_poses, solve_reach, split_arms
from chunk_ppo_ros.sim.meshes import Mesh, coarsen, read_stl
from chunk_ppo_ros.sim.scene import FINGERS, TABLE
from chunk_ppo_ros.sim.simulator import SimulatorUnavailable, make_simulator
from chunk_ppo_ros.sim.tasks.reach import TARGETS, ReachTask
from chunk_ppo_ros.sim.tasks.task import START_NOISE
from chunk_ppo_ros.sim.tasks.transfer_cube import CUBE

REASON = rendering.rendering_available()
needs_rendering = pytest.mark.skipif(REASON is not None, reason=str(REASON))


def configuration(task: str = "reach", image_size: int = 64) -> TrainConfig:
    base = PRESETS["debug"]
    model = dataclasses.replace(base.model, image_size=image_size, patch_size=16)
    env, pretrain = EnvConfig(simulator="mujoco", task=task), PretrainConfig(min_pace=1.0, aim_noise=0.0)
    return dataclasses.replace(base, model=model, env=env, pretrain=pretrain)


@pytest.fixture(scope="module")
def reach():
    simulator = make_simulator(configuration())
    yield simulator
    simulator.close()


@pytest.fixture(scope="module")
def transfer():
    simulator = make_simulator(configuration("transfer_cube"), render=False)
    yield simulator
    simulator.close()


def saturated(image: np.ndarray, channel: int) -> np.ndarray:
    others = [c for c in range(3) if c != channel]
    pixels = image.astype(int)
    return np.all(pixels[..., [channel]] > 1.6 * pixels[..., others] + 20, axis=-1)


def minimum_jerk(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    t = np.arange(1, steps + 1)[:, None] / steps
    return start + (10 * t**3 - 15 * t**4 + 6 * t**5) * (end - start)


@needs_rendering
def test_grasp_points_agree_with_the_kinematics(reach):
    # The MJCF turns the right base by 3.1416 instead of pi: 7e-6 rad at 0.9 m. Start poses differ in all twelve joints.
    for seed in range(5):
        reach.reset(seed=seed)
        for _ in range(3):  # at rest, then in motion: the scene must be that of the state, not of the step before
            expected = arm_poses(split_arms(reach.state())).grasp_points
            np.testing.assert_allclose(reach.scene().grasp_points, expected, atol=2e-5)
            reach.step(reach.state() + np.float32(0.06))


@needs_rendering
def test_starts_are_those_of_the_kinematic_simulator(reach):
    kinematic = make_simulator(dataclasses.replace(configuration(), env=EnvConfig(simulator="kinematic")))
    for simulator in (reach, kinematic):
        simulator.reset(seed=4)
    np.testing.assert_allclose(reach.state(), kinematic.state(), atol=1e-6)
    for name in TARGETS:
        np.testing.assert_allclose(reach.scene().position(name), kinematic.scene().position(name), atol=1e-12)


@needs_rendering
def test_a_minimum_jerk_chunk_is_tracked(reach):
    reach.reset(seed=0)
    start = reach.state().astype(float)
    end = start.copy()
    end[[0, 1, 2, 7, 8, 9]] += 0.4
    lags = []
    for target in [*minimum_jerk(start, end, 16), *[end] * 10]:
        reach.step(target)
        lags.append(np.abs(target - reach.state())[aloha.ARM_INDICES].max())
    assert max(lags) < 0.08  # 0.06 rad behind at 2.3 rad/s
    assert lags[-1] < 0.015  # and arrives: no sag under gravity to speak of
    assert np.abs(reach.joint_velocities()[aloha.ARM_INDICES]).max() < 0.1


@needs_rendering
def test_efforts_hold_the_arms_against_gravity(reach):
    reach.reset(seed=0)
    start = reach.state()
    for _ in range(50):
        reach.step(start)
    efforts = np.abs(reach.efforts()).reshape(2, 6)
    # The elbow carries the forearm, some hundred grams some 0.2 m away. The waist turns about the vertical and carries
    # nothing.
    assert np.all(efforts[:, 2] > 0.5)
    assert np.all(efforts[:, 0] < 0.1)
    assert np.all(efforts < 30.0)


@needs_rendering
def test_grippers_open_and_close(reach):
    reach.reset(seed=0)
    for opening in (0.9, 0.2):
        target = reach.state().astype(float)
        target[aloha.GRIPPER_INDICES] = opening
        for _ in range(50):
            reach.step(target)
        np.testing.assert_allclose(reach.state()[aloha.GRIPPER_INDICES], opening, atol=0.05)


@needs_rendering
def test_episodes_depend_on_their_seed_alone(reach):
    results = []
    for seed in (5, 6, 5):
        reach.reset(seed=seed)
        for _ in range(4):
            reach.step(aloha.START_POSE)
        results.append((reach.state(), reach.render()))
    np.testing.assert_array_equal(results[0][0], results[2][0])
    np.testing.assert_array_equal(results[0][1], results[2][1])
    assert np.any(results[0][1] != results[1][1])


@needs_rendering
def test_targets_are_seen_in_the_images_only():
    from chunk_ppo_ros.sim.mujoco_aloha import MujocoSimulator

    simulator = MujocoSimulator(ReachTask(), 64, configuration().robot, start_noise=0.0)
    states, images = [], []
    for seed in (1, 2):
        simulator.reset(seed=seed)
        states.append(simulator.state())
        images.append(simulator.render())
    simulator.close()
    np.testing.assert_array_equal(*states)
    for camera in range(3):
        assert np.any(images[0][camera] != images[1][camera])


@needs_rendering
def test_targets_appear_where_the_pinhole_puts_them(reach):
    for seed in range(6):
        reach.reset(seed=seed)
        image = reach.render()[0]
        targets = np.stack([reach.scene().position(name) for name in TARGETS])
        right, up, backward = ((targets - HIGH_CAMERA.position) @ HIGH_CAMERA.rotation).T
        focal = 32.0 / np.tan(np.radians(26.0))  # 64 pixels over 52 degrees
        expected = 32.0 + focal * np.array([-up, right]) / -backward
        for side, channel in enumerate((0, 2)):
            seen = np.mean(np.nonzero(saturated(image, channel)), axis=1) + 0.5
            np.testing.assert_allclose(seen, expected[:, side], atol=1.5)


@needs_rendering
def test_every_target_is_seen_from_above_and_by_its_own_wrist(reach):
    for seed in range(30):
        reach.reset(seed=seed)
        high, left, right = reach.render()
        assert saturated(high, 0).sum() >= 7  # 3 pixels wide
        assert saturated(high, 2).sum() >= 7
        assert saturated(left, 0).sum() >= 7
        assert saturated(right, 2).sum() >= 7


@needs_rendering
def test_images_have_the_size_that_was_asked_for():
    simulator = make_simulator(configuration(image_size=224))
    images = simulator.render()
    simulator.close()
    assert images.shape == (3, 224, 224, 3)
    assert images.dtype == np.uint8
    with pytest.raises(RuntimeError, match="not closed"):
        simulator.render()


@needs_rendering
def test_a_perfect_aim_reaches_the_targets(reach):
    for seed in range(8):
        recording = record_episode(reach, configuration(), seed=seed, render=False)
        assert recording.success
        assert len(recording.actions) <= 3


@needs_rendering
def test_it_serves_the_environment_form(reach):
    env = SimulatorEnv(reach, configuration())
    first = env.reset(seed=0)
    after, reward, done, outcome = env.step_chunk(np.tile(first.state, (16, 1)))
    assert first.images.shape == after.images.shape == (3, 64, 64, 3)
    assert outcome.num_steps == 16
    assert abs(reward) < 0.05  # holding still earns nothing
    assert not done


@needs_rendering
def test_a_target_that_is_not_finite_moves_nothing(reach):
    reach.reset(seed=0)
    before = reach.state()
    with pytest.raises(ValueError, match="14 finite numbers"):
        reach.step(np.full(14, np.nan))
    np.testing.assert_array_equal(reach.state(), before)


@needs_rendering
def test_a_scripted_grasp_lifts_the_cube(transfer):
    """Closing the right fingers on the cube makes stage 1, and raising it makes stage 2.

    This needs contacts, friction and grip.
    """
    transfer.reset(seed=0)
    command = transfer.state().astype(float)
    cube = transfer.scene().position(CUBE)
    above, around = (right_grasp(command, cube + np.array([0, 0, height])) for height in (0.12, 0.01))
    closed, raised = around.copy(), above.copy()
    closed[13] = raised[13] = 0.0
    stages = []
    for goal in (above, around, closed, raised):
        stages.append(sum(transfer.step(target).terms[0].value for target in minimum_jerk(command, goal, 50)))
        command = goal
    assert stages == [0.0, 0.0, 1.0, 1.0]
    assert transfer.scene().position(CUBE)[2] > cube[2] + 0.08
    assert transfer.scene().touched(CUBE) == set(FINGERS["right"])
    assert transfer.scene().gripped_by(CUBE) == {"right"}


def right_grasp(state: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Returns the state with the right gripper open at `point`, pointing 1.2 rad downwards."""
    goal = state.copy()
    goal[13] = 1.0
    for _ in range(20):
        left = arm_poses(split_arms(goal)).grasp_points[0]
        goal[7:13] = solve_reach(split_arms(goal), np.stack([left, point])).joints[1]
        goal[11] += 1.2 - (goal[8] + goal[9] + goal[11])
    return goal


@needs_rendering
def test_the_cube_rests_on_the_table(transfer):
    transfer.reset(seed=3)
    for _ in range(10):
        reward = transfer.step(aloha.START_POSE)
    assert transfer.scene().touched(CUBE) == {TABLE}
    np.testing.assert_allclose(transfer.scene().position(CUBE)[2], 0.02, atol=1e-3)
    assert reward.terms[0].value == 0.0
    assert np.abs(transfer.state() - aloha.START_POSE)[aloha.ARM_INDICES].max() < 2 * START_NOISE


@needs_rendering
def test_without_images_render_is_an_error(transfer):
    with pytest.raises(RuntimeError, match="render=True"):
        transfer.render()


def test_an_opengl_that_does_not_exist_is_reported_with_the_remedy(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    reason = rendering.rendering_available()
    assert reason is not None
    assert "nonsense" in reason
    assert "apt-get install" in reason
    with pytest.raises(SimulatorUnavailable, match="set env.simulator to kinematic"):
        make_simulator(configuration())


def test_an_opengl_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "slow")
    monkeypatch.setattr(rendering, "PROBE_TIMEOUT", 0.001)
    assert "slow: no image within 0 s" in str(rendering.rendering_available())


@needs_rendering
def test_choosing_opengl_after_mujoco_was_imported_is_an_error():
    code = (
        "import mujoco\n"
        "from chunk_ppo_ros.sim import rendering, simulator\n"
        "try:\n    rendering.select_backend()\n"
        "except simulator.SimulatorUnavailable as error:\n    print(error)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "imported before; set MUJOCO_GL=" in result.stdout


@needs_rendering
def test_missing_meshes_name_the_package(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "gym_aloha" else real(name, *rest)
    )
    with pytest.raises(SimulatorUnavailable, match="pip install --no-deps gym-aloha"):
        make_simulator(configuration())


def test_coarsen_merges_cells_and_drops_collapsed_triangles():
    # Cells have the edge 1. Corners 0 and 3 share one, with the mean (0.2, 0.1, 0). The second triangle has two corners
    # there and collapses. The third repeats the first with other corners and is dropped.
    corners = [[0.1, 0.1, 0], [2.5, 0.5, 0], [0.5, 2.5, 0], [0.3, 0.1, 0]]
    coarse = coarsen(Mesh(np.array(corners), np.array([[0, 1, 2], [0, 3, 1], [3, 1, 2]])), 1.0)
    assert len(coarse.faces) == 1
    vertices = coarse.vertices[coarse.faces[0]]
    np.testing.assert_allclose(vertices, [[0.2, 0.1, 0], [2.5, 0.5, 0], [0.5, 2.5, 0]], atol=1e-12)


def test_a_truncated_mesh_is_an_error(tmp_path):
    path = tmp_path / "link.stl"
    # The file has a header of 80 bytes, a count of 1, and 10 of the triangle's 50 bytes.
    path.write_bytes(b"\0" * 80 + (1).to_bytes(4, "little") + b"\0" * 10)
    with pytest.raises(ValueError, match="must be a binary STL of 134 bytes, got 94"):
        read_stl(path)
    path.write_bytes(b"\0" * 80 + (1).to_bytes(4, "little") + b"\0" * 50)
    assert read_stl(path).faces.tolist() == [[0, 1, 2]]
