"""Names the dimensions of states and actions, and says which limits of the robot hold for them."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.robot import aloha


def is_whole_arms(dims: tuple[int, int]) -> bool:
    """Returns whether states and actions of these numbers of dimensions are those of one or of both arms."""
    return dims[0] == dims[1] and dims[0] in (aloha.SIDE_DIM, aloha.ACTION_DIM)


def names_of(dim: int) -> list[str]:
    """Returns the name of each dimension of one or two arms. For other vectors the names are numbers."""
    if dim == aloha.SIDE_DIM:
        return [*aloha.ARM_JOINTS, aloha.GRIPPER]
    if dim == aloha.ACTION_DIM:
        return [aloha.joint_name(index) for index in range(dim)]
    return [f"dimension {index}" for index in range(dim)]


def arm_joints(dim: int) -> np.ndarray:
    """Returns the indices of the joints, without grippers, among the dimensions of one or two arms."""
    return aloha.ARM_INDICES[dim > aloha.ARM_INDICES]


def grippers(dim: int) -> np.ndarray:
    """Returns the indices of the grippers among the dimensions of one or two arms."""
    return aloha.GRIPPER_INDICES[dim > aloha.GRIPPER_INDICES]


def shown_joint(value: float) -> str:
    """Returns an angle in rad as text in rad and degrees."""
    return f"{value:.4g} rad ({np.degrees(value):.4g} deg)"
