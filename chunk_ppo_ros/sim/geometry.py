"""Computes gripper poses, Jacobians and inverse kinematics of the two ViperX 300 S arms at the simulated table.

Lengths and axes are those of `robot/kinematics.py`. Base poses are those of the MJCF that the `gym-aloha` wheel ships
(vx300s_left.xml, vx300s_right.xml, version 0.1.5), so that the kinematic and the MuJoCo simulator agree. All arrays
have a leading axis [2] for the left and the right arm. In the world frame, x points from the left base to the right
base, y away from the operator, and z up from the table top.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.kinematics import JOINT_AXES, JOINT_OFFSETS

NUM_ARM_JOINTS = len(aloha.ARM_JOINTS)
# The positions, m, and the rotations about z, rad, of the two bases in the world frame.
BASE_POSITIONS = np.array([[-0.469, 0.5, 0.0], [0.469, 0.5, 0.0]])
BASE_YAWS = np.array([0.0, np.pi])
# The point between the fingers at which they pinch, in the gripper's frame, m. The pads of the fingers reach from 0.064
# to 0.154 m (bounds of the finger mesh).
GRASP_OFFSET = np.array([0.13, 0.0, 0.0])
REACH_JOINTS = (0, 1, 2)  # waist, shoulder and elbow, which suffice to place the grasp point
ROTATION_LENGTH = 0.1  # m/rad, the weight of an error of orientation against one of position in `solve_pose`
MAX_JOINT_STEP = 0.5  # rad, the largest step of a joint in one iteration


@dataclasses.dataclass(frozen=True)
class ArmPoses:
    """Holds the poses of both arms at one instant, in the world frame.

    Attributes:
        origins: float [2, 6, 3], a point on each joint's axis, m.
        axes: float [2, 6, 3], the unit vectors of the joint axes.
        gripper_rotations: float [2, 3, 3], the rotations from the gripper frame to the world frame. The x axis of the
            gripper frame points out of the gripper.
        grasp_points: float [2, 3], the points at which the fingers pinch, m.
    """

    origins: np.ndarray
    axes: np.ndarray
    gripper_rotations: np.ndarray
    grasp_points: np.ndarray


def axis_rotations(axis: int, angles: np.ndarray) -> np.ndarray:
    """Returns the rotation matrices [2, 3, 3] about the coordinate axis `axis` (0, 1 or 2) by `angles` [2], rad."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    cos, sin = np.cos(angles), np.sin(angles)
    result = np.zeros((2, 3, 3))
    result[:, axis, axis] = 1.0
    result[:, i, i] = result[:, j, j] = cos
    result[:, i, j], result[:, j, i] = -sin, sin
    return result


def rotate(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Returns the vector [3] rotated by a unit quaternion (w, x, y, z).

    The result is v + 2 w (u x v) + 2 u x (u x v) with u = (x, y, z).
    """
    cross = np.cross(quaternion[1:], vector)
    return vector + 2.0 * (quaternion[0] * cross + np.cross(quaternion[1:], cross))


def split_arms(vector: np.ndarray) -> np.ndarray:
    """Returns the arm joints [2, 6] of a state or action [14]."""
    return np.asarray(vector, dtype=float).reshape(2, aloha.SIDE_DIM)[:, :NUM_ARM_JOINTS]


def arm_poses(joints: np.ndarray) -> ArmPoses:
    """Returns the poses of both arms (forward kinematics), by a product of rotations along each arm.

    Args:
        joints: float [2, 6], the joint angles, rad, in the order waist, shoulder, elbow, forearm_roll, wrist_angle,
            wrist_rotate.
    """
    rotation = axis_rotations(2, BASE_YAWS)
    position = BASE_POSITIONS
    origins, axes = np.empty((2, NUM_ARM_JOINTS, 3)), np.empty((2, NUM_ARM_JOINTS, 3))
    for index, axis in enumerate(JOINT_AXES):
        position = position + rotation @ JOINT_OFFSETS[index]
        origins[:, index], axes[:, index] = position, rotation[:, :, axis]
        rotation = rotation @ axis_rotations(axis, joints[:, index])
    return ArmPoses(origins, axes, rotation, position + rotation @ GRASP_OFFSET)


def grasp_jacobian(poses: ArmPoses) -> np.ndarray:
    """Returns the Jacobian [2, 3, 3] of the grasp points by waist, shoulder and elbow, m/rad (axis x lever arm)."""
    return pose_jacobian(poses)[:, :3, list(REACH_JOINTS)]


def pose_jacobian(poses: ArmPoses) -> np.ndarray:
    """Returns the Jacobian [2, 6, 6] of the gripper poses by the six joints of each arm.

    Rows 0..2 are those of the grasp points, m/rad. Rows 3..5 are those of the orientations, rad/rad.
    """
    levers = poses.grasp_points[:, None] - poses.origins
    return np.swapaxes(np.concatenate([np.cross(poses.axes, levers), poses.axes], axis=2), 1, 2)


def rotation_vectors(rotations: np.ndarray) -> np.ndarray:
    """Returns axis times angle [2, 3] of rotation matrices [2, 3, 3], rad, for angles below pi.

    The skew part of a rotation matrix is sin(angle) times the axis, and its trace is 1 + 2 cos(angle) (Rodrigues). At
    pi the skew part is zero and does not contain the axis, so that the result is about zero. `rotation_angles` is right
    there too.
    """
    sines = _axis_sines(rotations)
    return sines * (rotation_angles(rotations) / np.maximum(np.linalg.norm(sines, axis=1), 1e-12))[:, None]


def rotation_angles(rotations: np.ndarray) -> np.ndarray:
    """Returns the angles [2] of the rotation matrices [2, 3, 3], 0..pi rad."""
    cosines = 0.5 * (np.trace(rotations, axis1=1, axis2=2) - 1.0)
    return np.arctan2(np.linalg.norm(_axis_sines(rotations), axis=1), cosines)


def _axis_sines(rotations: np.ndarray) -> np.ndarray:
    """Returns the axis times the sine of the angle [2, 3] of rotation matrices [2, 3, 3]."""
    skew = 0.5 * (rotations - np.swapaxes(rotations, 1, 2))
    return np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)


@dataclasses.dataclass(frozen=True)
class ReachSolution:
    """Holds the joints [2, 6] that `solve_reach` found, rad, and the distances [2] left to the wanted points, m."""

    joints: np.ndarray
    residuals: np.ndarray


def solve_reach(
    joints: np.ndarray, points: np.ndarray, *, iterations: int = 20, damping: float = 0.01
) -> ReachSolution:
    """Returns angles of waist, shoulder and elbow that bring the grasp points to `points`. Wrist joints keep theirs.

    The method is damped least squares (Wampler 1986), dq = J^T (J J^T + damping^2 I)^-1 e. Joints are clipped to their
    limits in each iteration. A point out of reach gives the nearest joints that the iteration finds, and a residual.

    Args:
        joints: float [2, 6], the joints to start from, rad.
        points: float [2, 3], the wanted grasp points, m.
        iterations: the largest number of iterations.
        damping: the damping, m/rad. A larger one is steadier near singular poses, and slower.
    """
    joints = np.array(joints, dtype=float)
    poses = arm_poses(joints)
    for _ in range(iterations):
        errors = points - poses.grasp_points
        if np.abs(errors).max() < 1e-5:
            break
        _step_towards(joints, grasp_jacobian(poses), errors, moving=REACH_JOINTS, damping=damping)
        poses = arm_poses(joints)
    return ReachSolution(joints, np.linalg.norm(points - poses.grasp_points, axis=1))


@dataclasses.dataclass(frozen=True)
class PoseSolution:
    """Holds the joints [2, 6] that `solve_pose` found, rad, and the remaining errors.

    The errors are the distances `residuals` [2], m, and the `angles` [2], rad.
    """

    joints: np.ndarray
    residuals: np.ndarray
    angles: np.ndarray


def solve_pose(
    joints: np.ndarray, points: np.ndarray, rotations: np.ndarray, *, iterations: int = 30, damping: float = 0.01
) -> PoseSolution:
    """Returns angles of all six joints that bring the grippers to `points` with the orientations `rotations`.

    The method is the damped least squares of `solve_reach`, for position and orientation together. The error of
    orientation is the rotation vector of wanted x present^T, times `ROTATION_LENGTH`. Six joints reach a pose in
    several ways, and the iteration finds the way that is near `joints`. Therefore start near the wanted posture, less
    than half a turn away.

    Args:
        joints: float [2, 6], the joints to start from, rad.
        points: float [2, 3], the wanted grasp points, m.
        rotations: float [2, 3, 3], the wanted rotations from the gripper frame to the world frame.
        iterations: the largest number of iterations.
        damping: the damping, m/rad. A larger one is steadier near singular poses, and slower.
    """
    joints = np.array(joints, dtype=float)
    weights = np.repeat([1.0, ROTATION_LENGTH], 3)
    poses = arm_poses(joints)
    for _ in range(iterations):
        turns = rotation_vectors(rotations @ np.swapaxes(poses.gripper_rotations, 1, 2))
        errors = weights * np.concatenate([points - poses.grasp_points, turns], axis=1)
        if np.abs(errors).max() < 1e-6:
            break
        jacobian = weights[:, None] * pose_jacobian(poses)
        _step_towards(joints, jacobian, errors, moving=range(NUM_ARM_JOINTS), damping=damping)
        poses = arm_poses(joints)
    residuals = np.linalg.norm(points - poses.grasp_points, axis=1)
    return PoseSolution(joints, residuals, rotation_angles(rotations @ np.swapaxes(poses.gripper_rotations, 1, 2)))


def _step_towards(
    joints: np.ndarray, jacobian: np.ndarray, errors: np.ndarray, *, moving: Iterable[int], damping: float
) -> None:
    """Makes one step of damped least squares on the `moving` columns of `joints` [2, 6], in place and within limits."""
    columns = list(moving)
    lower, upper = split_arms(aloha.LOWER_LIMITS)[:, columns], split_arms(aloha.UPPER_LIMITS)[:, columns]
    transposed = np.swapaxes(jacobian, 1, 2)
    normal = jacobian @ transposed + damping**2 * np.eye(jacobian.shape[1])
    steps = (transposed @ np.linalg.solve(normal, errors[:, :, None]))[:, :, 0]
    joints[:, columns] = np.clip(joints[:, columns] + np.clip(steps, -MAX_JOINT_STEP, MAX_JOINT_STEP), lower, upper)
