"""Notices that the arms do not follow their commands, and says where they give way to."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.following_watch import FollowingWatch, stood_still
from chunk_ppo_ros.robot.gate.motor_watch import MotorWatch
from chunk_ppo_ros.robot.player.joint_readings import JointReadings
from chunk_ppo_ros.robot.player.running_execution import PlayedChunk


class Obstructions:
    """Compares the commands with what the arms do. Nothing is noticed where nothing moves the robot.

    Args:
        config: the limits of the following error and of the currents, and whether nothing moves the robot.
        readings: the newest joint states.
    """

    def __init__(self, config: RobotConfig, readings: JointReadings) -> None:
        self._readings = readings
        self._is_on = not config.shadow
        self._following = FollowingWatch(config.max_following_error)
        self.motors = MotorWatch(config)
        """The watch of the motors' currents."""

    def problem(self, commanded: np.ndarray, *, now: float) -> str:
        """Returns which joint has not followed, or which motor was overloaded or limp, for too long, or nothing.

        Args:
            commanded: float64 [14], the last command.
            now: the steady time, s.
        """
        if not self._is_on:
            return ""
        measured = self._readings.positions()
        problem = self.motors.problem(commanded, measured, now=now)
        return problem or self._following.obstruction(commanded, measured, now=now)

    def stood_still(self, chunk: PlayedChunk) -> str:
        """Returns which joint a chunk did not move, or an empty string, also where no arm must follow."""
        if not self._is_on or not self._following.is_on or not chunk.measured:
            return ""
        return stood_still(np.array(chunk.commanded), chunk.measured[0], self._readings.positions())

    def way_out(self, commanded: np.ndarray | None, *, now: float) -> np.ndarray:
        """Returns the pose, float64 [14], in which the motors press on nothing.

        It is where the arms are. Grippers go on holding what they hold, but for those that are overloaded.

        Args:
            commanded: float64 [14], the last command, or None before the first.
            now: the steady time, s.
        """
        pose = self._readings.positions()
        if commanded is not None:
            holding = np.setdiff1d(aloha.GRIPPER_INDICES, self.motors.overloaded_grippers(now))
            pose[holding] = commanded[holding]
        return pose
