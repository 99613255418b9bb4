"""Says how far points of an arm are outside its box and below its table."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.config.entries.workspace_box import NO_TABLE, WorkspaceBox
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.grippers import GripperConvention, convention_of
from chunk_ppo_ros.robot.kinematics import POINT_NAMES, POINT_RADII, watched_points

FACES = ("min x", "min y", "min z", "max x", "max y", "max z")
"""The names of the sides of a box, in the order of `Workspace.excess`."""
TOLERANCE = 1e-9
"""The distance that counts as rounding, m."""
SAG = 0.01
"""The distance by which a measured arm may be beyond a side without being named, m."""
FAR = 10.0
"""The distance of a side that is not given, m. No arm reaches it."""


@dataclasses.dataclass(frozen=True)
class Workspace:
    """The box and the table of one arm, in the frame of its base.

    Attributes:
        lows: float [4, 3], the smallest x, y and z of each watched point, m. The radii of the points are in them.
        highs: float [4, 3], the largest ones, m.
        convention: says where the fingers are for an opening.
    """

    lows: np.ndarray
    highs: np.ndarray
    convention: GripperConvention

    @classmethod
    def of(cls, config: RobotConfig, side: str) -> Workspace | None:
        """Returns the workspace of an arm ("left" or "right"), or None where nothing limits it."""
        box: WorkspaceBox = getattr(config.workspace_boxes, side)
        if box == WorkspaceBox() and config.table_height <= NO_TABLE:
            return None
        low = np.clip(np.maximum(box.low, [-FAR, -FAR, config.table_height]), -FAR, FAR)
        high = np.clip(box.high, -FAR, FAR)
        return cls(low + POINT_RADII[:, None], high - POINT_RADII[:, None], convention_of(config))

    def excess(self, poses: np.ndarray) -> np.ndarray:
        """Returns how far each watched point is beyond each side, m; negative where it is inside.

        Args:
            poses: float [n, 7], the joints of the arm in n poses, rad and normalized opening.

        Returns:
            float64 [n, 24], by watched point and then by side (`FACES`).
        """
        fingers = self.convention.linkage.finger_from_motor(self.convention.motor_from_opening(poses[:, -1]))
        points = watched_points(poses[:, :-1], fingers)
        return np.concatenate([self.lows - points, points - self.highs], axis=2).reshape(len(poses), -1)

    def problem(self, pose: np.ndarray) -> str:
        """Returns which point of an arm in a pose, float [7], is farthest outside, or an empty string.

        An arm that presses on the table, or that sags, counts as inside.
        """
        excess = self.excess(pose[None])[0]
        worst = int(np.argmax(excess))
        if excess[worst] <= SAG:
            return ""
        point, face = divmod(worst, len(FACES))
        return f"{POINT_NAMES[point]} is {excess[worst]:.3f} m beyond {FACES[face]}"


def workspaces_of(config: RobotConfig) -> dict[str, Workspace]:
    """Returns the workspaces of the arms that have one, by side."""
    found = {side: Workspace.of(config, side) for side in aloha.SIDES}
    return {side: workspace for side, workspace in found.items() if workspace is not None}
