"""Lets a human drive the robot by the leader arms, and cuts what the human commands into segments.

A segment has the length of a chunk, and a result of its own. The human's commands pass the same limits as a policy's.
`now` is the time of a steady clock in s. Stamps are ROS times in ns.
"""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.core.stamps import StampSource
from chunk_ppo_ros.robot.leaders.leader_arms import LeaderArms
from chunk_ppo_ros.robot.player.joint_readings import JointReadings
from chunk_ppo_ros.robot.player.motion import MotionExecutor
from chunk_ppo_ros.robot.player.running_execution import DrivenSegment

SETTLING_STEPS = 10
"""The number of steps that a human waits before a segment in lockstep.

Time stands still during the wait, and the cameras show the start of the segment.
"""
SEGMENT_STAMP_OFFSET = 1_000
"""The time by which the stamp of a human's segment lies after its first step, ns.

A chunk's stamp is moved by less than this to be new. Therefore the stamps of a segment and of a chunk differ, although
a simulator's time may stand still.
"""


class HumanDriving:
    """Knows whether a human drives, and makes the steps that the human asks for.

    Args:
        leaders: the leader arms.
        motion: moves the robot.
        readings: the newest joint states of the robot.
        settles: whether a human waits before a segment, as in lockstep.
        segment_steps: the number H of control steps in a full segment.
    """

    def __init__(
        self, leaders: LeaderArms, motion: MotionExecutor, readings: JointReadings, *, settles: bool, segment_steps: int
    ) -> None:
        self._leaders = leaders
        self._motion = motion
        self._readings = readings
        self._settles = settles
        self._segment_steps = segment_steps
        self._is_driving = False
        self._settling = 0
        self._stamps = StampSource()
        self._segment = 0

    @property
    def is_driving(self) -> bool:
        """Whether a human has taken over."""
        return self._is_driving

    @property
    def segment(self) -> int:
        """The stamp of the newest segment that a human began, ns; 0 before the first."""
        return self._segment

    @property
    def problem(self) -> str:
        """The reason why an arm does not follow its leader although a human drives; empty where both follow."""
        return self._leaders.problem if self._is_driving else ""

    def note_stamp(self, stamp: int) -> None:
        """Records the stamp of a chunk, ns. The stamps of later segments are others, and newer."""
        self._stamps.note(stamp)

    def take_over(self) -> None:
        """Records that a human drives from now on. What is being executed ends, and the robot holds its position."""
        if not self._is_driving:
            self._leaders.release()
            self._settling = SETTLING_STEPS
            self._motion.hand_over(Status.TAKEOVER, "a human took over")
            self._is_driving = True

    def give_back(self) -> None:
        """Ends the human's segment. The robot holds its position."""
        if self._is_driving:
            self._is_driving = False
            self._motion.hand_over(Status.CANCELLED, "handed back")

    def step(self, now: float, stamp: int, *, suspended: str, frozen: bool) -> np.ndarray | None:
        """Returns the target of one step that the human asks for, float64 [14].

        Where no leader is followed, it returns the held position once and then None.

        Args:
            now: the steady time, s.
            stamp: the ROS time of the step, ns.
            suspended: why motion is not recorded as a segment, or empty.
            frozen: whether the human cannot move the robot while it is suspended.
        """
        motion = self._motion
        if motion.rest.yields:
            return motion.take_hold(now)
        if motion.running is not None and motion.running.num_commands == self._segment_steps:
            motion.finish(Status.EXECUTED, "")
            self._settling = SETTLING_STEPS
        self._settling = max(0, self._settling - 1)
        if self._settling and self._settles:
            return None
        obstacle = suspended if frozen else self._readings.blind(now) or self._leaders.not_ready
        if not obstacle and not self._leaders.any_followed:
            obstacle = motion.strayed() or motion.unsettled()
        if obstacle:
            self._leaders.release(obstacle)
            motion.brake()
            return motion.take_hold(now)
        was_followed = self._leaders.any_followed
        target = self._leaders.target(self.held(follows_leader=was_followed), now=now)
        if target is None:
            motion.hand_over(Status.CANCELLED, self._leaders.problem)
            return motion.take_hold(now)
        if not was_followed:
            motion.anchor()
        if suspended:
            return motion.follow(target, now=now)
        segment = motion.running or self._begin_segment(now, stamp)
        return motion.send(segment, target, now=now, stamp=stamp)

    def held(self, *, follows_leader: bool) -> np.ndarray:
        """Returns the position that the motors hold, float [14].

        While a leader is followed it is the last command. Otherwise it is found as at the start of a chunk, because
        people may have moved the arms meanwhile, or the arms may have lost their power.
        """
        gate = self._motion.gate
        if follows_leader and gate.commanded is not None:
            return gate.commanded
        return gate.starting_point(self._readings.positions())

    def _begin_segment(self, now: float, stamp: int) -> DrivenSegment:
        """Begins a segment whose stamp differs from that of every chunk, even of one that was stamped at this time."""
        self._segment = self._stamps.next(stamp, offset=SEGMENT_STAMP_OFFSET)
        segment = DrivenSegment(self._segment, now)
        self._motion.begin(segment)
        return segment
