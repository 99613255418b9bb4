"""Computes where points of an ALOHA follower (ViperX 300 S) are, from its joint angles and its gripper.

Lengths and axes are those of the MJCF that the `gym-aloha` wheel ships (vx300s_left.xml, version 0.1.5). In the base
frame of an arm, x points forward where the waist is at 0, y to the left, and z up from the plate of the base.
"""

from __future__ import annotations

import numpy as np

JOINT_OFFSETS = np.array(
    [[0, 0, 0.079], [0, 0, 0.04805], [0.05955, 0, 0.3], [0.2, 0, 0], [0.1, 0, 0], [0.069744, 0, 0]], dtype=float
)
"""The offset of each joint from the joint before it (the first: from the base), in the frame of that joint, m."""
JOINT_AXES = (2, 1, 1, 0, 1, 0)
"""The axis about which each joint turns: 0 is x, 1 is y, 2 is z."""
FINGER_END = 0.150
"""The distance of the end of a finger's axis from the origin of the gripper's frame, along its x axis, m."""
FINGER_INSET = 0.010
"""The distance by which the middle of a finger lies nearer to the middle of the gripper than the finger joint, m."""

POINT_NAMES = ("left finger tip", "right finger tip", "wrist", "elbow")
"""The names of the points that `watched_points` returns."""
POINT_RADII = np.array([0.005, 0.005, 0.045, 0.04])
"""The radii of balls about these points that hold the parts there, m.

The meshes of the MJCF end 0.154 m in front of the origin of the gripper, and 0.045 m beside the wrist. Those at the
elbow are 0.1 m wide, and lower than that.
"""
_NUM_POINTS_MOVED = (4, 4, 4, 3, 3, 2)
"""The number of points that each joint moves. Wrist and elbow are on the axes of wrist_angle and elbow."""


def gripper_positions(joints: np.ndarray) -> np.ndarray:
    """Returns the point in the middle between the finger tips of an arm in its base frame, float64 [n, 3], m.

    The opening of the gripper does not move it.

    Args:
        joints: float [n, 6], the joint angles in n poses, rad.
    """
    return watched_points(joints, np.full(len(joints), FINGER_INSET))[:, 0]


def watched_points(joints: np.ndarray, fingers: np.ndarray) -> np.ndarray:
    """Returns the finger tips, the wrist and the elbow of an arm in its base frame (forward kinematics), m.

    From the last joint to the first, each point is turned by the joint and moved by its offset.

    Args:
        joints: float [n, 6], the joint angles in n poses, rad.
        fingers: float [n], the position of the left finger joint, m. The right finger is opposite.

    Returns:
        float64 [n, 4, 3], the points in the order of `POINT_NAMES`.
    """
    points = np.zeros((3, len(joints), len(POINT_NAMES)))
    points[0, :, :2] = FINGER_END
    points[1, :, 0] = fingers - FINGER_INSET
    points[1, :, 1] = -points[1, :, 0]
    cosines, sines = np.cos(joints).T[:, :, None], np.sin(joints).T[:, :, None]
    for joint in range(len(JOINT_AXES) - 1, -1, -1):
        moved = points[:, :, : _NUM_POINTS_MOVED[joint]]
        first, second = moved[(JOINT_AXES[joint] + 1) % 3], moved[(JOINT_AXES[joint] + 2) % 3]
        turned = cosines[joint] * first - sines[joint] * second
        second[:] = sines[joint] * first + cosines[joint] * second
        first[:] = turned
        moved += JOINT_OFFSETS[joint][:, None, None]
    return np.moveaxis(points, 0, 2)
