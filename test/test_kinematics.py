"""Tests where the watched points of an arm are: by hand, against the simulators' geometry, and against MuJoCo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.kinematics import FINGER_END, FINGER_INSET, POINT_NAMES, POINT_RADII, watched_points
from chunk_ppo_ros.sim.geometry import BASE_POSITIONS, BASE_YAWS, GRASP_OFFSET, arm_poses, axis_rotations
from chunk_ppo_ros.sim.rendering import rendering_available, select_backend

REASON = rendering_available()
needs_mujoco = pytest.mark.skipif(REASON is not None, reason=str(REASON))
joint_angles = hnp.arrays(float, (2, 6), elements=st.floats(-3.0, 3.0))


def test_the_points_of_a_stretched_arm():
    # All joints at 0: the upper arm points up (0.079 + 0.04805 + 0.3 = 0.42705) and the rest forward. The wrist is
    # 0.05955 + 0.2 + 0.1 forward, and the tips 0.069744 + 0.15 farther. A finger at 0.03 has its middle at 0.02.
    tip_left, tip_right, wrist, elbow = watched_points(np.zeros((1, 6)), np.array([0.03]))[0]
    np.testing.assert_allclose(elbow, [0.05955, 0.0, 0.42705], atol=1e-12)
    np.testing.assert_allclose(wrist, [0.35955, 0.0, 0.42705], atol=1e-12)
    np.testing.assert_allclose(tip_left, [0.579294, 0.02, 0.42705], atol=1e-12)
    np.testing.assert_allclose(tip_right, [0.579294, -0.02, 0.42705], atol=1e-12)


@given(joints=joint_angles)
def test_the_simulators_have_the_same_elbow_wrist_and_gripper(joints: np.ndarray) -> None:
    poses = arm_poses(joints)
    points = watched_points(joints, np.full(2, FINGER_INSET))  # Both tips are on the axis of the gripper.
    world = points @ np.swapaxes(axis_rotations(2, BASE_YAWS), 1, 2) + BASE_POSITIONS[:, None]
    np.testing.assert_allclose(world[:, 3], poses.origins[:, 2], atol=1e-12)
    np.testing.assert_allclose(world[:, 2], poses.origins[:, 4], atol=1e-12)
    beyond = poses.gripper_rotations @ ([FINGER_END, 0.0, 0.0] - GRASP_OFFSET)
    np.testing.assert_allclose(world[:, 0], poses.grasp_points + beyond, atol=1e-12)


class Scene:
    """The model of MuJoCo, which is imported after its OpenGL was chosen for all tests of this process."""

    def __init__(self) -> None:
        select_backend()
        import mujoco

        from chunk_ppo_ros.sim.mujoco_scene import arm_prefix, build_model

        self.mujoco, self.prefix, self.model = mujoco, arm_prefix, build_model([], image_size=16)

    def point(self, simulation: Any, side: str, name: str) -> np.ndarray:
        """Returns a watched point by the bodies of the model, in the world, m."""
        if name == "elbow":
            return simulation.body(f"{self.prefix(side)}upper_forearm_link").xpos
        if name == "wrist":
            return simulation.body(f"{self.prefix(side)}wrist_link").xpos
        sign = -1.0 if name.startswith("left") else 1.0
        body = simulation.body(f"{self.prefix(side)}{name.split()[0]}_finger_link")
        ahead = FINGER_END - self.model.body(body.name).pos[0]
        return body.xpos + body.xmat.reshape(3, 3) @ [ahead, sign * FINGER_INSET, 0.0]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@needs_mujoco
@settings(max_examples=20, deadline=None)
@given(joints=joint_angles, finger=st.floats(0.021, 0.057))
def test_mujoco_has_the_same_points(scene: Scene, joints: np.ndarray, finger: float) -> None:
    simulation = scene.mujoco.MjData(scene.model)
    for side, angles in zip(aloha.SIDES, joints, strict=True):
        values = dict(zip(aloha.ARM_JOINTS, angles, strict=True)) | {"left_finger": finger, "right_finger": -finger}
        for name, value in values.items():
            simulation.joint(scene.prefix(side) + name).qpos[0] = value
    scene.mujoco.mj_kinematics(scene.model, simulation)
    for side, points in zip(aloha.SIDES, watched_points(joints, np.full(2, finger)), strict=True):
        base = simulation.body(f"vx300s_{side}")
        world = points @ base.xmat.reshape(3, 3).T + base.xpos
        for name, point in zip(POINT_NAMES, world, strict=True):
            np.testing.assert_allclose(point, scene.point(simulation, side, name), atol=1e-9)


@needs_mujoco
def test_the_balls_at_the_tips_hold_the_ends_of_the_fingers(scene: Scene) -> None:
    model, finger = scene.model, f"{scene.prefix('left')}left_finger_link"
    geometry = model.geom(f"{scene.prefix('left')}10_left_gripper_finger")
    mesh = model.mesh(int(geometry.dataid[0]))
    start, number = int(mesh.vertadr[0]), int(mesh.vertnum[0])
    rotation = np.empty(9)
    scene.mujoco.mju_quat2Mat(rotation, geometry.quat)
    vertices = model.mesh_vert[start : start + number] @ rotation.reshape(3, 3).T + geometry.pos
    end = model.body(finger).pos[0] + np.max(vertices[:, 0])
    assert FINGER_END < end <= FINGER_END + POINT_RADII[0]
