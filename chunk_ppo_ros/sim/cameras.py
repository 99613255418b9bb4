"""The three cameras of the simulated ALOHA, for both simulators.

They are our own. The shipped scene's `top` camera sees 1.3 m of table in 64 pixels; its wrist cameras open 20 degrees
only, from behind the fingers' carriage, which hides 29 % of the targets from them at the start even with a wide field.
cam_high hangs on the operator's side above the table, tilted as on the real frame and framed on the space between the
arms; the wrist cameras sit above the carriage.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.sim.geometry import ArmPoses


@dataclasses.dataclass(frozen=True)
class CameraPose:
    """A pinhole camera with square images.

    Attributes:
        position: [3], m.
        rotation: [3, 3], columns are the camera's right, up and backward directions (MuJoCo's convention).
        field_of_view: opening angle of the image's height and width, degrees.
    """

    position: np.ndarray
    rotation: np.ndarray
    field_of_view: float


def look_at(position: np.ndarray, focus: np.ndarray, *, up: np.ndarray, field_of_view: float) -> CameraPose:
    """Returns a camera at `position` with `focus` in the middle of its image and `up` upwards in it."""
    backward = position - focus
    backward = backward / np.linalg.norm(backward)
    right = np.cross(up, backward)
    right = right / np.linalg.norm(right)
    return CameraPose(position, np.stack([right, np.cross(backward, right), backward], axis=1), field_of_view)


HIGH_CAMERA = look_at(
    np.array([0.0, 0.15, 0.80]), np.array([0.0, 0.5, 0.15]), up=np.array([0.0, 1.0, 0.0]), field_of_view=52.0
)
# In the gripper's frame. At the start every target is seen by cam_high and by its own arm's camera.
WRIST_CAMERA = look_at(
    np.array([0.03, 0.0, 0.20]), np.array([0.17, 0.0, 0.0]), up=np.array([0.0, 0.0, 1.0]), field_of_view=70.0
)


def wrist_cameras(poses: ArmPoses, grasp_offset: np.ndarray) -> tuple[CameraPose, CameraPose]:
    """Left and right wrist camera in the world; `grasp_offset` [3] is where the grasp points lie in the grippers."""
    left, right = (
        CameraPose(
            point + rotation @ (WRIST_CAMERA.position - grasp_offset),
            rotation @ WRIST_CAMERA.rotation,
            WRIST_CAMERA.field_of_view,
        )
        for point, rotation in zip(poses.grasp_points, poses.gripper_rotations, strict=True)
    )
    return left, right
