"""Checks each chunk before its first step. `gate/` limits the commands that follow."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha

PERIOD_TOLERANCE = 0.01
"""The allowed relative error of the time between two points of a trajectory."""


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
    jump = np.abs(first - measured)
    if not np.all(jump[aloha.ARM_INDICES] <= max_jump):
        worst, name = aloha.worst_joint(jump)
        return (
            f"first target must be within {max_jump} rad of the measured joint (robot.max_start_jump), got "
            f"{first[worst]:.3f} for {name} at {measured[worst]:.3f}"
        )
    return None
