"""Tests the kinematics of the arms by hand-derived poses, and their inverses by round trips."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.geometry import (
    arm_poses,
    axis_rotations,
    grasp_jacobian,
    pose_jacobian,
    rotation_angles,
    rotation_vectors,
    solve_pose,
    solve_reach,
    split_arms,
)

# The upper arms point up, the forearms are level, and the hands point 1 rad down. This is away from the singular pose
# of a straight wrist.
BENT = np.tile([0.0, -0.3, 0.4, 0.0, 0.9, 0.0], (2, 1))


def test_stretched_arms_reach_the_sum_of_their_links():
    # With all joints at 0 the upper arm points up and all else forward. The point is 0.05955 + 0.2 + 0.1 + 0.069744 +
    # 0.13 = 0.559294 m forward of the base at x = -0.469, and 0.079 + 0.04805 + 0.3 = 0.42705 m up. The right arm is
    # turned by pi.
    points = arm_poses(np.zeros((2, 6))).grasp_points
    np.testing.assert_allclose(points, [[0.090294, 0.5, 0.42705], [-0.090294, 0.5, 0.42705]], atol=1e-12)


def test_waist_turns_about_the_vertical():
    # A quarter turn to the left lays the 0.559294 m of the left arm along +y, and those of the right arm along -y.
    joints = np.zeros((2, 6))
    joints[:, 0] = np.pi / 2
    expected = [[-0.469, 1.059294, 0.42705], [0.469, -0.059294, 0.42705]]
    np.testing.assert_allclose(arm_poses(joints).grasp_points, expected, atol=1e-12)


def test_shoulder_elbow_and_wrist_bend_down_for_positive_angles():
    # With the shoulder at pi/2 the upper arm (0.05955, 0.3) in (forward, up) becomes (0.3, -0.05955). The elbow at
    # -pi/2 makes the rest level again, forward 0.3 + 0.3. The wrist_angle pi/2 points the last 0.199744 m straight
    # down.
    joints = np.tile([0, np.pi / 2, -np.pi / 2, 0, np.pi / 2, 0], (2, 1))
    height = 0.12705 - 0.05955 - 0.199744
    np.testing.assert_allclose(arm_poses(joints).grasp_points[0], [-0.469 + 0.6, 0.5, height], atol=1e-12)


def test_jacobian_is_the_derivative():
    joints = split_arms(aloha.START_POSE) + 0.1
    jacobian = grasp_jacobian(arm_poses(joints))
    for joint in range(3):
        step = np.zeros((2, 6))
        step[:, joint] = 1e-6
        change = arm_poses(joints + step).grasp_points - arm_poses(joints - step).grasp_points
        np.testing.assert_allclose(jacobian[:, :, joint], change / 2e-6, atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6))
def test_solve_reach_inverts_forward_kinematics(units):
    """The solution leads from the start pose to any point that joints around it reach."""
    start = split_arms(aloha.START_POSE)
    joints = start.copy()
    joints[:, :3] += np.reshape(units, (2, 3)) * [0.8, 0.35, 0.35]
    points = arm_poses(joints).grasp_points
    solution = solve_reach(start, points)
    np.testing.assert_allclose(arm_poses(solution.joints).grasp_points, points, atol=2e-4)
    assert np.all(solution.residuals < 4e-4)
    np.testing.assert_array_equal(solution.joints[:, 3:], start[:, 3:])


def test_solve_reach_tells_what_is_out_of_reach():
    start = split_arms(aloha.START_POSE)
    solution = solve_reach(start, np.array([[0.469, 0.5, 0.1], [0.2, 0.5, 0.2]]))
    assert solution.residuals[0] > 0.2  # the left arm cannot come to the right base, 0.94 m away
    assert solution.residuals[1] < 1e-3
    assert np.all(solution.joints >= split_arms(aloha.LOWER_LIMITS))
    assert np.all(solution.joints <= split_arms(aloha.UPPER_LIMITS))


def test_both_jacobians_are_derivatives():
    joints = BENT + np.linspace(-0.3, 0.3, 12).reshape(2, 6)
    poses = arm_poses(joints)
    jacobian = pose_jacobian(poses)
    for joint in range(6):
        step = np.zeros((2, 6))
        step[:, joint] = 1e-6
        after, before = arm_poses(joints + step), arm_poses(joints - step)
        moved = (after.grasp_points - before.grasp_points) / 2e-6
        turned = rotation_vectors(after.gripper_rotations @ np.swapaxes(before.gripper_rotations, 1, 2)) / 2e-6
        np.testing.assert_allclose(jacobian[:, :, joint], np.concatenate([moved, turned], axis=1), atol=1e-8)
    np.testing.assert_array_equal(grasp_jacobian(poses), jacobian[:, :3, :3])


def test_rotation_vectors_are_axis_times_angle():
    # A quarter turn about z takes x to y. A turn of 0.3 rad about -y is one of -0.3 about y. Half a turn has no sine.
    quarter, small = axis_rotations(2, np.full(2, np.pi / 2))[0], axis_rotations(1, np.full(2, -0.3))[0]
    np.testing.assert_allclose(quarter @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    rotations = np.stack([quarter, small])
    np.testing.assert_allclose(rotation_vectors(rotations), [[0, 0, np.pi / 2], [0, -0.3, 0]], atol=1e-12)
    np.testing.assert_allclose(rotation_angles(rotations), [np.pi / 2, 0.3], atol=1e-12)
    half = axis_rotations(0, np.array([np.pi, 0.0]))
    np.testing.assert_allclose(rotation_angles(half), [np.pi, 0.0], atol=1e-12)
    np.testing.assert_allclose(rotation_vectors(half), 0.0, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1.0, 1.0), min_size=12, max_size=12))
def test_solve_pose_inverts_forward_kinematics(units):
    """The solution leads from a bent posture to any pose that joints around it take, and finds these joints."""
    joints = BENT + 0.35 * np.reshape(units, (2, 6))
    poses = arm_poses(joints)
    solution = solve_pose(BENT, poses.grasp_points, poses.gripper_rotations)
    found = arm_poses(solution.joints)
    np.testing.assert_allclose(found.grasp_points, poses.grasp_points, atol=1e-5)
    np.testing.assert_allclose(found.gripper_rotations, poses.gripper_rotations, atol=1e-4)
    np.testing.assert_allclose(solution.joints, joints, atol=1e-3)
    assert np.all(solution.residuals < 1e-5)
    assert np.all(solution.angles < 1e-4)


def test_solve_pose_by_hand():
    # In the plane of the left arm, as (forward, up), the upper arm is (0.05955, 0.3) at shoulder 0, the forearm is 0.3
    # level at elbow 0, and the hand is 0.199744 straight down at wrist_angle pi/2. So the point is 0.35955 forward and
    # 0.12705 + 0.3 - 0.199744 = 0.227306 up. The right arm mirrors it. A quarter turn of the hand is one of
    # wrist_rotate alone.
    points = np.array([[-0.469 + 0.35955, 0.5, 0.227306], [0.469 - 0.35955, 0.5, 0.227306]])
    down = axis_rotations(2, np.array([0.0, np.pi])) @ axis_rotations(1, np.full(2, np.pi / 2))
    for roll in (0.0, np.pi / 2):
        solution = solve_pose(BENT, points, down @ axis_rotations(0, np.full(2, roll)))
        np.testing.assert_allclose(solution.joints, np.tile([0, 0, 0, 0, np.pi / 2, roll], (2, 1)), atol=1e-4)


def test_solve_pose_tells_what_it_cannot_do():
    poses = arm_poses(BENT)
    points = poses.grasp_points.copy()
    points[0, 0] += 1.0  # beyond the left arm's reach
    solution = solve_pose(BENT, points, poses.gripper_rotations)
    assert solution.residuals[0] > 0.5
    assert solution.residuals[1] < 1e-5
    assert solution.angles[1] < 1e-4
    assert np.all(solution.joints >= split_arms(aloha.LOWER_LIMITS))
    assert np.all(solution.joints <= split_arms(aloha.UPPER_LIMITS))
