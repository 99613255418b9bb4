"""Limits each target that goes to the robot, and checks each chunk before its first step.

These are pure functions of their arguments, and the chunk player applies them. Nothing else protects the motors from a
policy, because the robot's driver limits neither speed nor jumps.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import Cause
from chunk_ppo_ros.robot import aloha

CLAMP_TOLERANCE = 1e-6
"""The largest change to a target that counts as rounding and not as limiting; rad, grippers normalized."""
PERIOD_TOLERANCE = 0.01
"""The allowed relative error of the time between two points of a trajectory."""


@dataclasses.dataclass(frozen=True)
class LimitedTarget:
    """Holds a target after limiting.

    Attributes:
        target: float64 [14], the target that may be sent, rad and normalized grippers.
        causes: the limits that changed a dimension by more than `CLAMP_TOLERANCE`; empty where none did.
        max_clamp: the largest change of a dimension, rad, or normalized where it is a gripper.
    """

    target: np.ndarray
    causes: Cause
    max_clamp: float

    @property
    def clamped(self) -> bool:
        """Whether any dimension was changed by more than `CLAMP_TOLERANCE`."""
        return self.causes != Cause(0)


class TargetLimiter:
    """Limits targets to the joint ranges and to the speeds of `RobotConfig`."""

    def __init__(self, config: RobotConfig) -> None:
        self._max_speed = np.full(aloha.ACTION_DIM, config.max_velocity)
        self._max_speed[aloha.GRIPPER_INDICES] = config.max_gripper_velocity

    def limit(self, target: np.ndarray, previous: np.ndarray, dt: float) -> LimitedTarget:
        """Returns the target nearest to `target` that the joint ranges and the speed limits allow.

        The speed limit is the stronger one. `previous` may lie outside the joint ranges, as ALOHA's sleep pose does.
        Then the result moves towards the range at no more than the speed limit, and does not jump to its border.

        Args:
            target: float [14], the wanted target, rad and normalized grippers.
            previous: float [14], the last target that was sent, or the measured state before the first one.
            dt: the time between `previous` and `target`, s, > 0.

        Raises:
            ValueError: if a shape is wrong or a number is not finite.
        """
        for name, value in (("target", target), ("previous target", previous)):
            if np.shape(value) != (aloha.ACTION_DIM,):
                raise ValueError(f"{name} must have shape ({aloha.ACTION_DIM},), got {np.shape(value)}")
            if not np.all(np.isfinite(value)):
                raise ValueError(f"{name} must be finite, got {np.asarray(value).tolist()}")
        in_range = np.clip(target, aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)
        reach = self._max_speed * dt
        limited = previous + np.clip(in_range - previous, -reach, reach)
        max_clamp = float(np.max(np.abs(limited - target)))
        causes = _causes(target, in_range, limited) if max_clamp > CLAMP_TOLERANCE else Cause(0)
        return LimitedTarget(limited, causes, max_clamp)


def _causes(asked: np.ndarray, in_range: np.ndarray, limited: np.ndarray) -> Cause:
    """Returns which limits changed a target.

    Each limit has half of the tolerance, so that a change that both made together has a cause too.
    """
    causes = Cause(0)
    if np.max(np.abs(in_range - asked)) > CLAMP_TOLERANCE / 2:
        causes |= Cause.POSITION
    if np.max(np.abs(limited - in_range)) > CLAMP_TOLERANCE / 2:
        causes |= Cause.VELOCITY
    return causes


def check_chunk(
    times: np.ndarray, targets: np.ndarray, *, measured: np.ndarray, age: float, config: RobotConfig
) -> str | None:
    """Returns why a chunk must not be executed, or None when it may.

    Args:
        times: float [k], the time of each step since the start of the chunk, s.
        targets: float [k, 14], the targets of the steps, rad and normalized grippers.
        measured: float [14], the present state of the robot.
        age: the time between the chunk's stamp and its arrival, s.
        config: the deadline, the control rate and the largest start jump. The jump is checked for arm joints only. A
            gripper that holds an object is far from its target by intent, and its speed is limited.
    """
    return (
        _check_shape(times, targets)
        or _check_finite(targets)
        or _check_times(times, 1.0 / config.control_rate)
        or _check_age(age, config.chunk_deadline)
        or _check_start(targets[0], measured, config.max_start_jump)
    )


def _check_shape(times: np.ndarray, targets: np.ndarray) -> str | None:
    num_steps = len(times)
    if num_steps == 0 or targets.shape != (num_steps, aloha.ACTION_DIM):
        return f"chunk must have shape (k, {aloha.ACTION_DIM}) with k >= 1, got {targets.shape} and {num_steps} times"
    return None


def _check_finite(targets: np.ndarray) -> str | None:
    bad = np.argwhere(~np.isfinite(targets))
    if len(bad):
        step, dimension = bad[0]
        return f"targets must be finite, got {targets[step, dimension]} in step {step}, dimension {dimension}"
    return None


def _check_times(times: np.ndarray, period: float) -> str | None:
    if not np.all(np.isfinite(times)) or times[0] < 0.0 or np.any(np.diff(times) <= 0.0):
        return f"times of the points must be strictly increasing from 0 s or later, got {np.round(times, 4).tolist()}"
    if np.any(np.abs(np.diff(times) - period) > PERIOD_TOLERANCE * period):
        intervals = np.round(np.diff(times), 4).tolist()
        return f"points must be {period:.4f} s apart (robot.control_rate), got intervals {intervals}"
    return None


def _check_age(age: float, deadline: float) -> str | None:
    if not -deadline <= age <= deadline:
        return f"stamp must be within {deadline} s of now (robot.chunk_deadline), got an age of {age:.3f} s"
    return None


def _check_start(first: np.ndarray, measured: np.ndarray, max_jump: float) -> str | None:
    jump = np.abs(first - measured)[aloha.ARM_INDICES]
    if not np.all(jump <= max_jump):
        worst = int(aloha.ARM_INDICES[np.argmax(jump)])
        side, joint = aloha.SIDES[worst // aloha.SIDE_DIM], aloha.ARM_JOINTS[worst % aloha.SIDE_DIM]
        return (
            f"first target must be within {max_jump} rad of the measured joint (robot.max_start_jump), got "
            f"{first[worst]:.3f} for {side} {joint} at {measured[worst]:.3f}"
        )
    return None
