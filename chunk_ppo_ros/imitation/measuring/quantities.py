"""Defines in which quantities and units two chunks of actions are compared.

For one or two arms of ALOHA these are the joints in degrees, the grippers in percent of their opening, and the
positions of the grippers in millimeters. Other robots have the dimensions of their actions in the units of the
recording, because nothing is known of their meaning.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.kinematics import gripper_positions

DEGREES, PERCENT, MILLIMETERS, RECORDED = "deg", "%", "mm", "as recorded"

NEGLIGIBLE = {DEGREES: 0.2, PERCENT: 1.0, MILLIMETERS: 2.0, RECORDED: 0.0035}
"""The error below which a quantity counts as hit, by unit."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """One number in which chunks are compared at each step.

    Attributes:
        name: "left elbow", "right gripper", "left gripper position", or "dimension 3" of another robot.
        unit: the unit of its errors, a key of `NEGLIGIBLE`.
    """

    name: str
    unit: str


@dataclasses.dataclass(frozen=True)
class ActionLayout:
    """The meaning of the D dimensions of an action.

    Attributes:
        joints: the quantity of each dimension.
        grippers: the position of the gripper of each arm; empty for another robot than ALOHA.
        note: why degrees and millimeters are left out; empty where they are not.
    """

    joints: tuple[Quantity, ...]
    grippers: tuple[Quantity, ...]
    note: str = ""

    @classmethod
    def of(cls, state_dim: int, action_dim: int) -> ActionLayout:
        """Returns the layout of a robot, which is ALOHA where states and actions both are one or two of its arms."""
        if state_dim != action_dim or action_dim not in (aloha.SIDE_DIM, aloha.ACTION_DIM):
            joints = tuple(Quantity(f"dimension {index}", RECORDED) for index in range(action_dim))
            sizes = f"states of {state_dim} and actions of {action_dim} dimensions"
            note = f"degrees and millimeters are left out, because {sizes} are not one or two arms of ALOHA"
            return cls(joints, (), note)
        sides = [f"{side} " for side in aloha.SIDES] if action_dim == aloha.ACTION_DIM else [""]
        joints = tuple(
            Quantity(f"{side}{joint}", PERCENT if joint == aloha.GRIPPER else DEGREES)
            for side in sides
            for joint in (*aloha.ARM_JOINTS, aloha.GRIPPER)
        )
        return cls(joints, tuple(Quantity(f"{side}gripper position", MILLIMETERS) for side in sides))

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """All Q quantities: the dimensions, and then the positions of the grippers."""
        return (*self.joints, *self.grippers)

    def errors(self, actions: np.ndarray, recorded: np.ndarray) -> np.ndarray:
        """Returns the errors of chunks, float64 [N, H, Q], each >= 0 and in the unit of its quantity.

        The error of a gripper's position is a distance. The position follows from the joints by forward kinematics.

        Args:
            actions: float [N, H, D], absolute joint targets, rad, grippers normalized.
            recorded: float [N, H, D], the actions to compare with.
        """
        factors = np.array([{DEGREES: np.rad2deg(1.0), PERCENT: 100.0}.get(one.unit, 1.0) for one in self.joints])
        errors = [np.abs(np.asarray(actions, np.float64) - recorded) * factors]
        for number in range(len(self.grippers)):
            arm = slice(number * aloha.SIDE_DIM, number * aloha.SIDE_DIM + len(aloha.ARM_JOINTS))
            ours, theirs = (_positions(chunks[..., arm]) for chunks in (actions, recorded))
            errors.append(1000.0 * np.linalg.norm(ours - theirs, axis=-1, keepdims=True))
        return np.concatenate(errors, axis=-1)


def _positions(joints: np.ndarray) -> np.ndarray:
    """Returns the positions of a gripper, float64 [N, H, 3], m, at joint angles [N, H, 6], rad."""
    flat = gripper_positions(np.asarray(joints, np.float64).reshape(-1, joints.shape[-1]))
    return flat.reshape(*joints.shape[:-1], 3)
