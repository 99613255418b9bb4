"""Transforms states and actions of ALOHA into those that pi policies are trained on, and back, with numpy only.

The order is openpi's. For the policy, the state and the actions are adapted, and then the actions are taken relative to
the adapted state. The quantile normalization of `normalization.py` comes after that. For the robot, the same steps are
undone in reverse order. Each step is optional: `model.adapt_to_pi` and `model.delta_actions` turn it on.

pi's own robot runtime counts the angles of shoulder and elbow in the other direction and measures a gripper by its
motor's angle. ALOHA normalizes the finger's position in states and the motor's angle in actions. So the number of an
adapted gripper has two meanings. In a state, it is the motor's angle normalized to pi's encoder range. In an action, it
is the motor's angle above the lower end of that range, in rad.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, Real

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.config.entries.gripper_numbers import parse_gripper_numbers
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.grippers import GRIPPER_CONVENTIONS, GripperConvention, with_numbers

JOINT_SIGNS = np.array([1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0])
"""The sign that pi's runtime gives each joint of an arm, and its gripper; openpi's ALOHA policy."""

PI_GRIPPER_MIN = 0.5476
"""The motor angle at which pi's normalized gripper is 0, rad: encoder count 2405 of 4096, with angle 0 at 2048."""

PI_GRIPPER_MAX = 1.6296
"""The motor angle at which pi's normalized gripper is 1, rad: encoder count 3110 of 4096, with angle 0 at 2048."""

JOINT_SIGNS.setflags(write=False)


@dataclasses.dataclass(frozen=True)
class AlohaTransforms:
    """The steps before normalization, for arms with six joints and a gripper each.

    Attributes:
        gripper: the robot's convention of a gripper's normalized opening, where states and actions are adapted to pi's
            space; None leaves them as they are.
        delta_actions: whether the joints of a chunk are relative to the state at its start; grippers never are.
    """

    gripper: GripperConvention | None = None
    delta_actions: bool = True

    @classmethod
    def from_config(cls, config: Pi0FASTActorCriticConfig) -> AlohaTransforms:
        """Returns the steps of a model's configuration."""
        if not config.adapt_to_pi:
            return cls(gripper=None, delta_actions=config.delta_actions)
        numbers = parse_gripper_numbers("model.adapt_gripper_numbers", config.adapt_gripper_numbers)
        gripper = with_numbers(GRIPPER_CONVENTIONS[config.adapt_gripper], numbers)
        return cls(gripper=gripper, delta_actions=config.delta_actions)

    def check_dims(self, state_dim: int, action_dim: int) -> None:
        """Refuses numbers of dimensions that a step cannot work with.

        Raises:
            ValueError: where a step needs whole arms, or a state for each action, and the dimensions are others.
        """
        if self.gripper is not None:
            _num_arms(state_dim, "state (model.adapt_to_pi)")
            _num_arms(action_dim, "actions (model.adapt_to_pi)")
        if self.delta_actions:
            _num_arms(action_dim, "actions (model.delta_actions)")
            if state_dim != action_dim:
                raise ValueError(
                    f"state must have the {action_dim} dimensions of the actions where these are relative to it, got "
                    f"{state_dim}; set model.delta_actions to false, or take the norm_stats.json of this robot"
                )

    def encode_state(self, state: Real[np.ndarray, "*batch S"]) -> Float32[np.ndarray, "*batch S"]:
        """Returns the state in the policy's space, not normalized.

        Args:
            state: joint angles in rad, grippers normalized (0 closed, 1 open).
        """
        if self.gripper is None:
            return np.asarray(state, np.float32)
        adapted, grippers = _flip(state)
        motor = self.gripper.motor_from_state_opening(adapted[..., grippers])
        adapted[..., grippers] = (motor - PI_GRIPPER_MIN) / (PI_GRIPPER_MAX - PI_GRIPPER_MIN)
        return adapted.astype(np.float32)

    def decode_state(self, state: Real[np.ndarray, "*batch S"]) -> Float32[np.ndarray, "*batch S"]:
        """Returns the robot's state from which `encode_state` made this one.

        It is the same state where its fingers were within the reach of the linkage.

        Args:
            state: a state in the policy's space, not normalized.
        """
        if self.gripper is None:
            return np.asarray(state, np.float32)
        restored, grippers = _flip(state)
        motor = restored[..., grippers] * (PI_GRIPPER_MAX - PI_GRIPPER_MIN) + PI_GRIPPER_MIN
        restored[..., grippers] = self.gripper.state_opening_from_motor(motor)
        return restored.astype(np.float32)

    def encode_actions(
        self, actions: Real[np.ndarray, "*batch H D"], state: Real[np.ndarray, "*batch S"]
    ) -> Float32[np.ndarray, "*batch H D"]:
        """Returns a chunk in the policy's space, not normalized.

        Args:
            actions: absolute joint targets in rad, grippers normalized.
            state: the robot's state at the start of the chunk, not encoded.
        """
        adapted = np.array(actions, np.float64)
        if self.gripper is not None:
            adapted, grippers = _flip(actions)
            adapted[..., grippers] = self.gripper.motor_from_opening(adapted[..., grippers]) - PI_GRIPPER_MIN
        return (adapted - self._offset(state, adapted)).astype(np.float32)

    def decode_actions(
        self, actions: Real[np.ndarray, "*batch H D"], state: Real[np.ndarray, "*batch S"]
    ) -> Float32[np.ndarray, "*batch H D"]:
        """Returns the absolute joint targets in rad, grippers normalized, from which `encode_actions` made a chunk.

        Args:
            actions: a chunk in the policy's space, not normalized.
            state: the robot's state at the start of the chunk, not encoded.
        """
        restored = actions + self._offset(state, actions)
        if self.gripper is not None:
            restored, grippers = _flip(restored)
            restored[..., grippers] = self.gripper.opening_from_motor(restored[..., grippers] + PI_GRIPPER_MIN)
        return restored.astype(np.float32)

    def _offset(
        self, state: Real[np.ndarray, "*batch S"], actions: Real[np.ndarray, "*batch H D"]
    ) -> Float[np.ndarray, "*batch 1 D"] | float:
        """Returns the joint angles to which the actions are relative. They are 0 for grippers."""
        if not self.delta_actions:
            return 0.0
        self.check_dims(np.shape(state)[-1], np.shape(actions)[-1])
        return np.where(joint_mask(np.shape(actions)[-1]), self.encode_state(state), 0.0)[..., None, :]


def joint_mask(num_dims: int) -> Bool[np.ndarray, "{num_dims}"]:
    """Returns true for joints and false for grippers, for arms with six joints and a gripper each."""
    return np.tile(np.arange(aloha.SIDE_DIM) < len(aloha.ARM_JOINTS), _num_arms(num_dims, "actions"))


def _flip(values: Real[np.ndarray, "*batch D"]) -> tuple[Float64[np.ndarray, "*batch D"], Int[np.ndarray, "arms"]]:
    """Returns a copy with pi's joint signs, and the indices of the grippers in it."""
    num_arms = _num_arms(np.shape(values)[-1], "states and actions")
    grippers = np.arange(num_arms) * aloha.SIDE_DIM + len(aloha.ARM_JOINTS)
    return np.asarray(values, np.float64) * np.tile(JOINT_SIGNS, num_arms), grippers


def _num_arms(num_dims: int, what: str) -> int:
    if num_dims < 1 or num_dims % aloha.SIDE_DIM:
        raise ValueError(
            f"{what} must have a multiple of {aloha.SIDE_DIM} dimensions (six joints and a gripper an arm), got "
            f"{num_dims}; for another robot set model.adapt_to_pi and model.delta_actions to false"
        )
    return num_dims // aloha.SIDE_DIM
