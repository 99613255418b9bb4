"""Kinematics of the two ViperX 300 S arms as they stand at the simulated table: gripper poses, Jacobians, inverses.

Lengths, axes and base poses are those of the MJCF that the `gym-aloha` wheel ships (vx300s_left.xml, vx300s_right.xml,
version 0.1.5), so that the kinematic and the MuJoCo simulator agree. All arrays have a leading axis [2]: left arm,
right arm. World frame: x from the left base to the right base, y away from the operator, z up from the table top.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from chunk_ppo_ros.robot import aloha

NUM_ARM_JOINTS = len(aloha.ARM_JOINTS)
BASE_POSITIONS = np.array([[-0.469, 0.5, 0.0], [0.469, 0.5, 0.0]])
BASE_YAWS = np.array([0.0, np.pi])
# Offset of each joint from the one before (the first: from the base), in that one's frame, and its axis: 0 x, 1 y, 2 z.
JOINT_OFFSETS = np.array(
    [[0, 0, 0.079], [0, 0, 0.04805], [0.05955, 0, 0.3], [0.2, 0, 0], [0.1, 0, 0], [0.069744, 0, 0]], dtype=float
)
JOINT_AXES = (2, 1, 1, 0, 1, 0)
# Where the fingers pinch, in the gripper's frame: their pads reach from 0.064 to 0.154 m (bounds of the finger mesh).
GRASP_OFFSET = np.array([0.13, 0.0, 0.0])
REACH_JOINTS = (0, 1, 2)  # waist, shoulder, elbow: enough to place the grasp point
ROTATION_LENGTH = 0.1  # m/rad: what an error of orientation weighs against one of position in `solve_pose`
MAX_JOINT_STEP = 0.5  # rad, of an iteration


@dataclasses.dataclass(frozen=True)
class ArmPoses:
    """Both arms at one instant, world frame.

    Attributes:
        origins: [2, 6, 3], a point on each joint's axis, m.
        axes: [2, 6, 3], unit vectors of the joint axes.
        gripper_rotations: [2, 3, 3], gripper frame to world; its x axis points out of the gripper.
        grasp_points: [2, 3], m.
    """

    origins: np.ndarray
    axes: np.ndarray
    gripper_rotations: np.ndarray
    grasp_points: np.ndarray


def axis_rotations(axis: int, angles: np.ndarray) -> np.ndarray:
    """Rotation matrices [2, 3, 3] about coordinate axis `axis` by `angles` [2]."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    cos, sin = np.cos(angles), np.sin(angles)
    result = np.zeros((2, 3, 3))
    result[:, axis, axis] = 1.0
    result[:, i, i] = result[:, j, j] = cos
    result[:, i, j], result[:, j, i] = -sin, sin
    return result


def rotate(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Returns the vector [3] turned by a unit quaternion (w, x, y, z): v + 2 w (u x v) + 2 u x (u x v) with u = (x, y,
    z).
    """
    cross = np.cross(quaternion[1:], vector)
    return vector + 2.0 * (quaternion[0] * cross + np.cross(quaternion[1:], cross))


def split_arms(vector: np.ndarray) -> np.ndarray:
    """Returns the arm joints [2, 6] of a state or action [14]."""
    return np.asarray(vector, dtype=float).reshape(2, aloha.SIDE_DIM)[:, :NUM_ARM_JOINTS]


def arm_poses(joints: np.ndarray) -> ArmPoses:
    """Forward kinematics: a product of rotations along each chain.

    Args:
        joints: [2, 6], rad, in the order waist, shoulder, elbow, forearm_roll, wrist_angle, wrist_rotate.
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
    """Returns [2, 3, 3], m/rad: how the grasp points move with waist, shoulder and elbow (axis x lever arm)."""
    return pose_jacobian(poses)[:, :3, list(REACH_JOINTS)]


def pose_jacobian(poses: ArmPoses) -> np.ndarray:
    """Returns how [2, 6, 6] the grasp points (rows 0..2, m/rad) and the grippers' orientations (3..5, rad/rad) move."""
    levers = poses.grasp_points[:, None] - poses.origins
    return np.swapaxes(np.concatenate([np.cross(poses.axes, levers), poses.axes], axis=2), 1, 2)


def rotation_vectors(rotations: np.ndarray) -> np.ndarray:
    """Axis times angle [2, 3] of rotation matrices [2, 3, 3], rad, for angles below pi.

    The skew part of a rotation matrix is sin(angle) times the axis, its trace 1 + 2 cos(angle) (Rodrigues). At pi the
    skew part says nothing of the axis, and the result is about zero; `rotation_angles` still tells.
    """
    sines = _axis_sines(rotations)
    return sines * (rotation_angles(rotations) / np.maximum(np.linalg.norm(sines, axis=1), 1e-12))[:, None]


def rotation_angles(rotations: np.ndarray) -> np.ndarray:
    """Returns by what angle [2] each of the rotation matrices [2, 3, 3] turns, 0..pi rad."""
    cosines = 0.5 * (np.trace(rotations, axis1=1, axis2=2) - 1.0)
    return np.arctan2(np.linalg.norm(_axis_sines(rotations), axis=1), cosines)


def _axis_sines(rotations: np.ndarray) -> np.ndarray:
    """Axis times the sine of the angle [2, 3] of rotation matrices [2, 3, 3]."""
    skew = 0.5 * (rotations - np.swapaxes(rotations, 1, 2))
    return np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)


@dataclasses.dataclass(frozen=True)
class ReachSolution:
    """Joints [2, 6] found by `solve_reach`, rad, and the distances [2] that remain to the wanted points, m."""

    joints: np.ndarray
    residuals: np.ndarray


def solve_reach(
    joints: np.ndarray, points: np.ndarray, *, iterations: int = 20, damping: float = 0.01
) -> ReachSolution:
    """Moves waist, shoulder and elbow so that the grasp points come to `points`; the wrist's joints keep their angles.

    Damped least squares (Wampler 1986): dq = J^T (J J^T + damping^2 I)^-1 e, with joints clipped to their limits in
    each iteration. A point out of reach gives the joints nearest to it that the iteration finds, and a residual.

    Args:
        joints: [2, 6] to start from, rad.
        points: [2, 3] wanted grasp points, m.
        iterations: steps of the iteration.
        damping: m/rad; larger is steadier near singular poses and slower.
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
    """Joints [2, 6] found by `solve_pose`, rad; the distances [2], m, and the angles [2], rad, that remain."""

    joints: np.ndarray
    residuals: np.ndarray
    angles: np.ndarray


def solve_pose(
    joints: np.ndarray, points: np.ndarray, rotations: np.ndarray, *, iterations: int = 30, damping: float = 0.01
) -> PoseSolution:
    """Moves all six joints of each arm so that the grippers come to `points` with the orientations `rotations`.

    The damped least squares of `solve_reach` on position and orientation together; the error of orientation is the
    rotation vector of wanted x present^T, times `ROTATION_LENGTH`. Six joints reach a pose in several ways: the
    result is the one that the iteration leads to from `joints`, so start near the posture that is meant, and with
    less than half a turn to go.

    Args:
        joints: [2, 6] to start from, rad.
        points: [2, 3] wanted grasp points, m.
        rotations: [2, 3, 3] wanted gripper frames to world.
        iterations: steps of the iteration.
        damping: m/rad; larger is steadier near singular poses and slower.
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
    """One step of damped least squares on the `moving` columns of `joints` [2, 6], in place and within the limits."""
    columns = list(moving)
    lower, upper = split_arms(aloha.LOWER_LIMITS)[:, columns], split_arms(aloha.UPPER_LIMITS)[:, columns]
    transposed = np.swapaxes(jacobian, 1, 2)
    normal = jacobian @ transposed + damping**2 * np.eye(jacobian.shape[1])
    steps = (transposed @ np.linalg.solve(normal, errors[:, :, None]))[:, :, 0]
    joints[:, columns] = np.clip(joints[:, columns] + np.clip(steps, -MAX_JOINT_STEP, MAX_JOINT_STEP), lower, upper)
