"""Limits each command to the joint ranges, the speeds, the accelerations and the workspaces of `RobotConfig`.

These are pure functions of their arguments. Nothing else protects the motors from a policy, because the robot's driver
limits neither speed nor jumps.

A step is the change of the command in one control period. Speed and acceleration are counted by steps: with the period
T, a speed v is a step of v T, and an acceleration a changes the step by a T^2 from one command to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import Cause
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.braking import stopping_step
from chunk_ppo_ros.robot.gate.commands import Command, LimitedTarget, Room
from chunk_ppo_ros.robot.gate.workspace_limiter import Reach, WorkspaceLimiter

CLAMP_TOLERANCE = 1e-6
"""The largest change to a target that counts as rounding and not as limiting; rad, grippers normalized."""
MAX_GAP = 3.0
"""The number of control periods without a command after which the robot counts as being at rest."""


class CommandLimiter:
    """Limits targets to the joint ranges, speeds and accelerations of `RobotConfig`, at its control rate.

    Where limits conflict, the acceleration counts before the others. They do not conflict for a robot that kept them so
    far, because a joint is never faster than it can stop at its limit. When the speed limit is lowered, the robot slows
    down to it.

    Args:
        config: the limits.
        workspaces: keep the arms in their workspaces; none where nothing limits them.
    """

    def __init__(self, config: RobotConfig, workspaces: Sequence[WorkspaceLimiter] = ()) -> None:
        self._workspaces = workspaces
        self._period = 1.0 / config.control_rate
        self._max_speed = np.full(aloha.ACTION_DIM, config.max_velocity)
        self._max_speed[aloha.GRIPPER_INDICES] = config.max_gripper_velocity
        acceleration = config.max_acceleration or np.inf
        self._max_change = np.full(aloha.ACTION_DIM, acceleration * self._period**2)
        self._max_change[aloha.GRIPPER_INDICES] = np.inf  # A gripper is light, and its speed is limited.

    def limit(
        self,
        target: np.ndarray,
        last: Command,
        *,
        dt: float | None = None,
        room: Room | None = None,
        speed: float = 1.0,
    ) -> LimitedTarget:
        """Returns the command nearest to `target` that the limits allow.

        The last target may lie outside the joint ranges, as ALOHA's sleep pose does. Then the command moves toward the
        range, and does not jump to its border.

        Args:
            target: float [14], the wanted target, rad and normalized grippers.
            last: the last command that was sent, or the measured position at rest before the first one.
            dt: the time since the last command, s, > 0. The default is the control period. See `_since`.
            room: where the commands that follow may lead. The default is the target alone, so that the robot stops at
                it.
            speed: the part of the speed limit that is used, 0..1. The robot slows down to it within the acceleration.

        Raises:
            ValueError: if a shape is wrong or a number is not finite.
        """
        check_target("target", target)
        check_target("previous target", last.target)
        last, reach = self._since(last, dt)
        reach = np.maximum(speed * reach, np.abs(last.step) - self._max_change)
        in_range = np.clip(target, aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)
        wanted = in_range - last.target
        in_speed = np.clip(wanted, -reach, reach)
        slow = np.clip(self._accelerate(in_speed, last, room or Room(in_range, in_range)), -reach, reach)
        step = self._keep_inside(slow, in_range, last, reach)
        limited = last.target + step
        max_clamp = float(np.max(np.abs(limited - target)))
        changes = {
            Cause.POSITION: in_range - target,
            Cause.VELOCITY: in_speed - wanted,
            Cause.ACCELERATION: slow - in_speed,
            **({Cause.WORKSPACE: step - slow} if self._workspaces else {}),
        }
        causes = _causes(changes) if max_clamp > CLAMP_TOLERANCE else Cause(0)
        return LimitedTarget(Command(limited, step), causes, max_clamp)

    def stop(self, last: Command, *, dt: float | None = None) -> LimitedTarget:
        """Returns the next command of a robot that comes to rest as quickly as the acceleration allows.

        Args:
            last: the last command that was sent.
            dt: the time since the last command, s, > 0, as in `limit`.
        """
        last, reach = self._since(last, dt)
        slower = np.sign(last.step) * np.maximum(np.abs(last.step) - self._max_change, 0.0)
        reach = np.maximum(reach, np.abs(last.step) - self._max_change)
        step = np.clip(slower, -reach, reach)
        return LimitedTarget(Command(last.target + step, step), Cause.HOLD, float(np.max(np.abs(step))))

    def set_max_velocity(self, max_velocity: float) -> None:
        """Limits the speed of the arm joints to another value from the next command on, rad/s."""
        self._max_speed[aloha.ARM_INDICES] = max_velocity

    @property
    def limits_acceleration(self) -> bool:
        """Whether robot.max_acceleration limits the arm joints."""
        return bool(np.all(np.isfinite(self._max_change[aloha.ARM_INDICES])))

    @property
    def num_braking_steps(self) -> int:
        """The number of commands in which a robot at full speed comes to rest, and two more."""
        changes = self._max_speed[aloha.ARM_INDICES] * self._period / self._max_change[aloha.ARM_INDICES]
        return int(np.ceil(np.max(changes))) + 2

    def is_early(self, dt: float | None) -> bool:
        """Returns whether a command must wait for the next control step, because the last one was sent just before.

        A shorter time allows a shorter step. If it were shorter by more than the acceleration allows, no step would be
        right at full speed.
        """
        changes = self._max_change[aloha.ARM_INDICES] / (self._max_speed[aloha.ARM_INDICES] * self._period)
        return dt is not None and dt < self._period * (1.0 - min(0.5, float(np.min(changes))))

    def can_rest(self, last: Command) -> bool:
        """Returns whether the acceleration allows that no arm joint moves in the next step."""
        return bool(np.all(np.abs(last.step)[aloha.ARM_INDICES] <= self._max_change[aloha.ARM_INDICES]))

    def _since(self, last: Command, dt: float | None) -> tuple[Command, np.ndarray]:
        """Returns the command before the next one, and the longest step that the speed allows, float64 [14].

        A time above the control period allows no longer step, so that missed steps are not made up for. After more
        than `MAX_GAP` periods the robot has come to rest at the last target.
        """
        if dt is None:
            return last, self._max_speed * self._period
        if dt > MAX_GAP * self._period:
            last = Command.at_rest(last.target)
        return last, self._max_speed * min(dt, self._period)

    def _keep_inside(self, step: np.ndarray, target: np.ndarray, last: Command, reach: np.ndarray) -> np.ndarray:
        """Returns the step, float64 [14], with which the arms stay in their workspaces."""
        if not self._workspaces:
            return step
        lowest = np.clip(last.step - self._max_change, -reach, reach)
        highest = np.clip(last.step + self._max_change, -reach, reach)
        kept = step.copy()
        for workspace in self._workspaces:
            part = workspace.part
            allowed = Reach(lowest[part], highest[part], self._max_change[part])
            kept[part] = workspace.limit(step[part], target[part], last.target[part], last.step[part], allowed)
        return kept

    def _accelerate(self, wanted: np.ndarray, last: Command, room: Room) -> np.ndarray:
        """Returns the step nearest to `wanted` that the acceleration allows, and from which the robot can stop in time.

        It can stop where the room ends, if the room did not become smaller, and in any case at the joint limits.
        """
        lowest = np.clip(room.lowest, aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)
        highest = np.clip(room.highest, aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)
        down = stopping_step(last.target - lowest, self._max_change)
        up = stopping_step(highest - last.target, self._max_change)
        return np.clip(np.clip(wanted, -down, up), last.step - self._max_change, last.step + self._max_change)


def check_target(name: str, target: np.ndarray) -> None:
    """Makes sure that a target has 14 finite numbers.

    Raises:
        ValueError: if the shape is wrong or a number is not finite; the text begins with `name`.
    """
    if np.shape(target) != (aloha.ACTION_DIM,):
        raise ValueError(f"{name} must have shape ({aloha.ACTION_DIM},), got {np.shape(target)}")
    if not np.all(np.isfinite(target)):
        raise ValueError(f"{name} must be finite, got {np.asarray(target).tolist()}")


def _causes(changes: Mapping[Cause, np.ndarray]) -> Cause:
    """Returns which limits changed a target, from the change that each made.

    Each limit has a part of the tolerance, so that a change that several made together has a cause too.
    """
    causes = Cause(0)
    for cause, change in changes.items():
        if np.max(np.abs(change)) > CLAMP_TOLERANCE / len(changes):
            causes |= cause
    return causes
