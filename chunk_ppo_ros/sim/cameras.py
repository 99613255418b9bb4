"""Defines the three cameras of the simulated ALOHA for both simulators.

They differ from the cameras of the shipped scene. The `top` camera of that scene sees 1.3 m of table in 64 pixels. Its
wrist cameras have a field of 20 degrees and look from behind the fingers' carriage. At the start the carriage hides
29 % of the targets from them, even with a wide field. Here cam_high hangs on the operator's side above the table. It is
tilted as on the real frame and shows the space between the arms. The wrist cameras sit above the carriage.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.sim.geometry import ArmPoses


@dataclasses.dataclass(frozen=True)
class CameraPose:
    """Describes a pinhole camera with square images.

    Attributes:
        position: float [3], the place of the camera, m.
        rotation: float [3, 3]. Its columns are the camera's right, up and backward directions (MuJoCo's convention).
        field_of_view: the opening angle of the image's height and width, degrees.
    """

    position: np.ndarray
    rotation: np.ndarray
    field_of_view: float


def look_at(position: np.ndarray, focus: np.ndarray, *, up: np.ndarray, field_of_view: float) -> CameraPose:
    """Returns a camera that looks at a point.

    Args:
        position: float [3], the place of the camera, m.
        focus: float [3], the point in the middle of the image, m.
        up: float [3], the direction that points upwards in the image.
        field_of_view: the opening angle of the image's height and width, degrees.
    """
    backward = position - focus
    backward = backward / np.linalg.norm(backward)
    right = np.cross(up, backward)
    right = right / np.linalg.norm(right)
    return CameraPose(position, np.stack([right, np.cross(backward, right), backward], axis=1), field_of_view)


HIGH_CAMERA = look_at(
    np.array([0.0, 0.15, 0.80]), np.array([0.0, 0.5, 0.15]), up=np.array([0.0, 1.0, 0.0]), field_of_view=52.0
)
# This pose is in the gripper's frame. At the start, cam_high and the camera of its own arm see every target.
WRIST_CAMERA = look_at(
    np.array([0.03, 0.0, 0.20]), np.array([0.17, 0.0, 0.0]), up=np.array([0.0, 0.0, 1.0]), field_of_view=70.0
)


def wrist_cameras(poses: ArmPoses, grasp_offset: np.ndarray) -> tuple[CameraPose, CameraPose]:
    """Returns the left and the right wrist camera in the world frame.

    Args:
        poses: the poses of both arms.
        grasp_offset: float [3], the place of the grasp point in the gripper's frame, m.
    """
    left, right = (
        CameraPose(
            point + rotation @ (WRIST_CAMERA.position - grasp_offset),
            rotation @ WRIST_CAMERA.rotation,
            WRIST_CAMERA.field_of_view,
        )
        for point, rotation in zip(poses.grasp_points, poses.gripper_rotations, strict=True)
    )
    return left, right
