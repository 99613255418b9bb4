"""The gate stands between every source of targets and the robot: a policy, a human, a hold.

It knows the last command and its speed, and lets each command follow from them within the limits. The same gate serves
robot_node and the simulator's script form, so that both execute a chunk alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import Cause, Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.command_limiter import CommandLimiter
from chunk_ppo_ros.robot.gate.commands import Command, LimitedTarget, Room
from chunk_ppo_ros.robot.gate.passed_points import num_passed
from chunk_ppo_ros.robot.gate.workspace import workspaces_of
from chunk_ppo_ros.robot.gate.workspace_limiter import WorkspaceLimiter

WHY_LIMITED = "the limits of the robot made the chunk too slow"
"""The message of the result of a chunk that ends before its last target."""
MAX_SLOWDOWN = 1.5
"""The factor by which the limits may make a chunk longer."""
ARRIVAL_TOLERANCE = 1e-9
"""The distance from a target within which a command is at it, rad."""
STANDSTILL = 1e-4
"""The largest step of an arm that stands still at the border of its workspace, rad."""


@dataclasses.dataclass(frozen=True)
class ChunkEnding:
    """Says how the limits let a chunk end.

    Attributes:
        status: EXECUTED where each of its targets was passed, and otherwise LIMITED.
        message: the reason where it is LIMITED.
        has_arrived: whether the robot can rest at the last target. Otherwise it may still be fast.
    """

    status: Status
    message: str = ""
    has_arrived: bool = True


class Gate:
    """Gives one limited command for each control step.

    `now` is the time of a steady clock in s. It is None in lockstep, where one control period passes between two
    commands.
    """

    def __init__(self, config: RobotConfig) -> None:
        self._workspaces = workspaces_of(config)
        workspaces = [WorkspaceLimiter(side, workspace) for side, workspace in self._workspaces.items()]
        self._limiter = CommandLimiter(config, workspaces)
        self._max_start_jump = config.max_start_jump
        self._last: Command | None = None
        self._sent: float | None = None  # the time of the last command, None before the first and in lockstep
        self._is_anchored = False
        self._is_at_border = False  # whether the last command stood still because the workspace ends
        self._start = np.zeros(aloha.ACTION_DIM)  # where the newest motion began

    @property
    def commanded(self) -> np.ndarray | None:
        """The last command, float64 [14], or None before the first."""
        return None if self._last is None else self._last.target

    def starting_point(self, measured: np.ndarray) -> np.ndarray:
        """Returns where the next motion starts, float [14].

        It is the last command with its speed, because the motors hold it between two chunks, and the measured position
        only lags behind it. It is the measured position at rest where there is no command, after `release`, and where
        an arm joint is farther than robot.max_start_jump from the last command.

        Args:
            measured: float [14], the measured position.
        """
        last = self._last
        if last is not None and self._is_anchored:
            lag = np.abs(last.target - measured)[aloha.ARM_INDICES]
            if np.all(lag <= self._max_start_jump):
                return last.target
        return measured

    def anchor(self, measured: np.ndarray) -> float:
        """Begins a motion from `starting_point`: the next command follows from there.

        Args:
            measured: float [14], the measured position.

        Returns:
            The largest distance of an arm joint from there, rad.
        """
        start = self.starting_point(measured)
        if self._last is None or start is not self._last.target:
            self._last, self._sent = Command.at_rest(start), None
        self._is_anchored = True
        self._start = self._last.target
        return float(np.max(np.abs(self._start - measured)[aloha.ARM_INDICES]))

    def release(self) -> None:
        """Lets the next motion start from the measured position, because the arms may have been moved meanwhile."""
        self._is_anchored = False

    def send(
        self, target: np.ndarray, *, now: float | None, room: Room | None = None, speed: float = 1.0
    ) -> LimitedTarget:
        """Returns the next command toward a target, within the limits.

        Args:
            target: float [14], the wanted target, rad and normalized grippers.
            now: the steady time, s, or None.
            room: where the commands that follow may lead; see `CommandLimiter.limit`.
            speed: the part of the speed limit that is used, 0..1.

        Raises:
            RuntimeError: without an anchor.
        """
        limited = self._limiter.limit(target, self._anchored(), dt=self._since(now), room=room, speed=speed)
        return self._sent_at(now, limited)

    def stop(self, *, now: float | None) -> LimitedTarget:
        """Returns the next command of a robot that comes to rest as quickly as the acceleration allows.

        Raises:
            RuntimeError: without an anchor.
        """
        return self._sent_at(now, self._limiter.stop(self._anchored(), dt=self._since(now)))

    def set_max_velocity(self, max_velocity: float) -> None:
        """Limits the speed of the arm joints to another value from the next command on, rad/s."""
        self._limiter.set_max_velocity(max_velocity)

    def is_early(self, now: float | None) -> bool:
        """Returns whether the last command was sent so shortly before that the next one must wait for another step."""
        return self._limiter.is_early(self._since(now))

    def num_passed(self, targets: np.ndarray, commanded: Sequence[np.ndarray]) -> int:
        """Returns how many targets of the motion that began last count as executed.

        Where the acceleration is not limited, they are those that were sent. Otherwise they are those that were passed.

        Args:
            targets: float [k, 14], the targets of the chunk.
            commanded: the commands float [14] that were sent of it.
        """
        if not self._limiter.limits_acceleration:
            return min(len(commanded), len(targets))
        return num_passed(targets, np.array(commanded), self._start, self._reachable(targets))

    def _reachable(self, targets: np.ndarray) -> np.ndarray:
        """Returns which targets are in the workspaces, bool [k, 14], alike for all numbers of an arm."""
        reachable = np.ones(targets.shape, bool)
        for side, workspace in self._workspaces.items():
            part = aloha.side_slice(side)
            reachable[:, part] = np.all(workspace.excess(targets[:, part]) <= 0.0, axis=1)[:, None]
        return reachable

    def ending(self, targets: np.ndarray, commanded: Sequence[np.ndarray]) -> ChunkEnding | None:
        """Returns how a chunk ends after a number of commands, or None where it goes on.

        Where the acceleration is limited, a chunk goes on until the robot can rest at its last target. A chunk that
        takes more than `MAX_SLOWDOWN` times as long as asked ends before. A short chunk has the time to brake at least.
        It is LIMITED too where it did not pass each target.

        Args:
            targets: float [k, 14], the targets of the chunk.
            commanded: the commands float [14] that were sent of it.
        """
        num_asked = len(targets)
        if len(commanded) < num_asked:
            return None
        if not self._limiter.limits_acceleration:
            return ChunkEnding(Status.EXECUTED)
        if self.has_arrived(targets[-1]):
            passed = self.num_passed(targets, commanded)
            why = f"the limits of the robot let it pass {passed} of {num_asked} targets"
            return ChunkEnding(Status.EXECUTED) if passed == num_asked else ChunkEnding(Status.LIMITED, why)
        allowed = max(MAX_SLOWDOWN * num_asked, num_asked + self._limiter.num_braking_steps)
        return ChunkEnding(Status.LIMITED, WHY_LIMITED, has_arrived=False) if len(commanded) >= allowed else None

    @property
    def can_rest(self) -> bool:
        """Whether the acceleration allows that the robot does not move in the next step."""
        return self._last is None or self._limiter.can_rest(self._last)

    @property
    def rests(self) -> bool:
        """Whether the last command was sent at rest, or there is none."""
        return self._last is None or self._last.rests

    def outside(self, pose: np.ndarray) -> str:
        """Returns which arm in a pose, float [14], is outside its workspace, and how far, or an empty string."""
        problems = {side: found.problem(pose[aloha.side_slice(side)]) for side, found in self._workspaces.items()}
        return "; ".join(f"the {side} arm's {problem}" for side, problem in problems.items() if problem)

    def has_arrived(self, target: np.ndarray, *, grippers: bool = False) -> bool:
        """Returns whether the arm joints are commanded to a target, float [14], and can rest there at once.

        A target outside the workspace counts where the last command stands still at the border before it.

        Args:
            target: float [14], the target.
            grippers: whether the grippers must be commanded to it too.
        """
        if self._is_at_border:
            return True
        last = self._anchored()
        in_range = np.clip(target, aloha.LOWER_LIMITS, aloha.UPPER_LIMITS)
        is_near = np.abs(last.target - in_range) <= ARRIVAL_TOLERANCE
        return bool(np.all(is_near if grippers else is_near[aloha.ARM_INDICES])) and self.can_rest

    def _anchored(self) -> Command:
        if self._last is None:
            raise RuntimeError("the gate must know where the robot is before a command, got nothing; anchor it first")
        return self._last

    def _since(self, now: float | None) -> float | None:
        return None if now is None or self._sent is None else now - self._sent

    def _sent_at(self, now: float | None, limited: LimitedTarget) -> LimitedTarget:
        self._last, self._sent = limited.command, now
        steps = np.abs(limited.command.step)[aloha.ARM_INDICES]
        self._is_at_border = Cause.WORKSPACE in limited.causes and bool(np.all(steps <= STANDSTILL)) and self.can_rest
        return limited
