"""Takes the halves of chunks, joins them, checks the whole, and refuses what must not be played."""

from __future__ import annotations

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.robot.arm_trajectory import ArmTrajectory
from chunk_ppo_ros.robot.player.chunks.result_log import ResultLog
from chunk_ppo_ros.robot.player.chunks.trajectory_pairs import TrajectoryPair, TrajectoryPairs
from chunk_ppo_ros.robot.player.joint_readings import JointReadings
from chunk_ppo_ros.robot.player.motion import MotionExecutor
from chunk_ppo_ros.robot.player.readiness import Readiness
from chunk_ppo_ros.robot.player.running_execution import PlayedChunk
from chunk_ppo_ros.robot.safety import check_chunk


class ChunkIntake:
    """Starts each chunk, or refuses it.

    Args:
        config: the deadlines and the limits that a chunk is checked by.
        motion: executes a chunk.
        readiness: says why no chunk can start.
        readings: the newest joint states.
        results: the results, which say which chunks have one.
    """

    def __init__(
        self,
        config: RobotConfig,
        motion: MotionExecutor,
        readiness: Readiness,
        readings: JointReadings,
        results: ResultLog,
    ) -> None:
        self._config = config
        self._motion = motion
        self._readiness = readiness
        self._readings = readings
        self._results = results
        self._pairs = TrajectoryPairs(config.pair_timeout)

    def receive(self, side: str, trajectory: ArmTrajectory, *, age: float, now: float) -> None:
        """Takes one arm's half of a chunk. With the second half it starts the chunk or refuses it.

        Args:
            side: "left" or "right".
            trajectory: the half of the chunk.
            age: the ROS time of arrival minus the stamp, s.
            now: the steady time, s.
        """
        if self.has_result(trajectory.stamp):
            return
        pair = self._pairs.add(side, trajectory, age=age, now=now)
        if pair is not None:
            self._start(pair, now)

    def refuse(self, stamp: int, reason: str) -> None:
        """Refuses the chunk of this stamp (ns), for example because a half of it cannot be read."""
        self._pairs.drop(stamp)
        if not self.has_result(stamp):
            self._results.report(ExecutionResult.nothing(Status.REFUSED, reason, stamp=stamp))

    def refuse_overdue(self, now: float) -> None:
        """Refuses the chunks whose second half did not come in time. `now` is steady s."""
        for stamp, reason in self._pairs.overdue(now).items():
            self.refuse(stamp, reason)

    def has_result(self, stamp: int) -> bool:
        """Returns whether the chunk of this stamp has a result, or gets one because it is being executed."""
        running = self._motion.running
        return self._results.has(stamp) or (running is not None and running.stamp == stamp)

    def _start(self, pair: TrajectoryPair, now: float) -> None:
        reason = self._readiness.unready(now) or pair.mismatch() or self._unsafe(pair)
        if reason:
            self.refuse(pair.stamp, reason)
        else:
            self._motion.begin(PlayedChunk(pair.stamp, now, targets=pair.targets))

    def _unsafe(self, pair: TrajectoryPair) -> str | None:
        """Returns why the chunk must not be played."""
        measured = self._readings.positions()
        return check_chunk(pair.left.times, pair.targets, measured=measured, age=pair.age, config=self._config)
