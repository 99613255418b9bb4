"""Computes the paths of the grippers that were asked for and that were commanded, by forward kinematics."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.kinematics import gripper_positions
from chunk_ppo_ros.sim.geometry import BASE_POSITIONS, BASE_YAWS


@dataclasses.dataclass(frozen=True)
class ExecutedPath:
    """The path of one gripper that was commanded.

    Attributes:
        points: float [n, 3], the middle between the finger tips, m, in the frame of the table.
        limited: bool [n], whether a limit changed what was asked for in the step.
    """

    points: np.ndarray
    limited: np.ndarray


class AskedPaths:
    """Keeps the paths that the newest chunks asked for, until what was executed of them is known."""

    def __init__(self) -> None:
        self._paths: collections.deque[tuple[str, int, np.ndarray]] = collections.deque(maxlen=8)

    def add(self, side: str, stamp: int, points: np.ndarray) -> None:
        """Keeps the path of an arm, float [k, 3], m. `stamp` is that of the chunk, ns of ROS time."""
        self._paths.append((side, stamp, points))

    def find(self, side: str, stamp: int) -> np.ndarray:
        """Returns the path of an arm in the chunk of a stamp, float [k, 3], m, or [0, 3] where it is not known."""
        found = (points for kept_side, kept, points in self._paths if (kept_side, kept) == (side, stamp))
        return next(found, np.zeros((0, 3)))


def table_points(joints: np.ndarray, side: str) -> np.ndarray:
    """Returns where the gripper of an arm is, float [n, 3], m, in the frame of the table.

    The bases stand as in gym-aloha. x points from the left base to the right one, y away from the operator, z up.

    Args:
        joints: float [n, 6], the joint angles in n poses, rad.
        side: left or right.
    """
    arm = aloha.SIDES.index(side)
    cos, sin = np.cos(BASE_YAWS[arm]), np.sin(BASE_YAWS[arm])
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    points: np.ndarray = gripper_positions(joints) @ turn.T + BASE_POSITIONS[arm]
    return points


def executed_path(commanded: np.ndarray, causes: np.ndarray, side: str) -> ExecutedPath:
    """Returns the path of one gripper.

    Args:
        commanded: float [n, 14], what was sent in each step.
        causes: uint8 [n], not 0 where a limit changed what was asked for.
        side: left or right.
    """
    joints = commanded[:, aloha.side_slice(side)][:, : len(aloha.ARM_JOINTS)]
    return ExecutedPath(table_points(joints, side), causes != 0)
