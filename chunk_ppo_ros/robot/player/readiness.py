"""Knows why the robot may not move now: an obstacle, a suspension, doubts, or something that is under way."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.core.execution import HUMAN_DRIVES
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.player.human_driving import HumanDriving
from chunk_ppo_ros.robot.player.joint_readings import JointReadings
from chunk_ppo_ros.robot.player.motion import MotionExecutor
from chunk_ppo_ros.robot.player.scripted_motion import ScriptedMotion, away_from


class Readiness:
    """Collects what holds the robot back. Texts are reasons for people, and empty where there is none.

    Args:
        motion: what is executed.
        human: whether a human drives.
        readings: the newest joint states.
    """

    def __init__(self, motion: MotionExecutor, human: HumanDriving, readings: JointReadings) -> None:
        self._motion = motion
        self._human = human
        self._readings = readings
        self._obstacle, self._obstacle_counts, self._spares_scripted = "", True, False
        self._num_losses = 0
        self.suspended = ""
        """The reason why no chunk may be played; empty when one may be played."""
        self.is_frozen = False
        """Whether a human who has taken over cannot move a suspended robot either."""

    @property
    def obstacle(self) -> str:
        """Why the robot must not move at all."""
        return self._obstacle

    def note_obstacle(self, reason: str, *, counts: bool = True, spares_scripted: bool = False) -> None:
        """Records why the robot must not move. No chunk is played then.

        Args:
            reason: the reason, or an empty string.
            counts: whether the steps before count. They do not where the robot may not have done what it was commanded.
            spares_scripted: whether scripted motions may move the robot all the same, so that it can be put down.
        """
        self._obstacle, self._obstacle_counts, self._spares_scripted = reason, counts, spares_scripted

    def note_losses(self, count: int) -> None:
        """Records how often the motors may have lost their goals. After a loss the operator must look first."""
        if count != self._num_losses:
            self._motion.drop_goals()
        self._num_losses = count

    def fault(self, now: float) -> tuple[str, bool]:
        """Returns why what is executed must end, and whether its steps count. `now` is steady s.

        Where joint states are doubted or silent, it is not known whether the arms followed.
        """
        is_scripted = isinstance(self._motion.running, ScriptedMotion)
        if self._obstacle and not (is_scripted and self._spares_scripted):
            return self._obstacle, self._obstacle_counts
        return self._readings.doubt or self._motion.overdue(now) or "", False

    def waits(self, now: float) -> str:
        """Returns why the arms must be looked after before the robot moves. `now` is steady s."""
        return self._readings.blind(now) or self._motion.strayed()

    @property
    def outside(self) -> str:
        """Which arm is outside its workspace, and how far; empty also where an arm is not known."""
        known = len(self._readings.stamps) == len(aloha.SIDES)
        return self._motion.gate.outside(self._readings.positions()) if known else ""

    def not_at(self, pose: np.ndarray, *, now: float) -> str:
        """Returns why both arms do not rest at a pose, float [14]. `now` is steady s."""
        if self._human.is_driving or self._motion.running is not None or self._motion.rest.is_under_way:
            return "the robot moves"
        return self._readings.blind(now) or away_from(pose, self._readings.positions())

    def unready(self, now: float) -> str:
        """Returns why no chunk can start. `now` is steady s."""
        if self.suspended and not self._human.is_driving:
            return f"the robot must be free to move, but it is suspended: {self.suspended}"
        return self.busy(now)

    def busy(self, now: float, *, scripted: bool = False) -> str:
        """Returns why nothing can start, whether the robot is suspended or not.

        Args:
            now: the steady time, s.
            scripted: whether a scripted motion is to start, which some obstacles do not keep from it.
        """
        running = self._motion.running
        if self._human.is_driving:
            return f"{HUMAN_DRIVES}; hand it back by the service takeover with data: false"
        if isinstance(running, ScriptedMotion):
            return f"a scripted motion is under way: {running.name}; wait until it has ended"
        if running is not None:
            return "a chunk is already playing; send the next one after its execution result"
        if self._motion.comes_to_rest:
            return "the robot still comes to rest after a stop; send the chunk again"
        obstacle = "" if scripted and self._spares_scripted else self._obstacle
        return obstacle or self.waits(now)
