"""Moves the robot by limited targets: what it executes at present, what it was last commanded, and what it holds.

A chunk of the policy and a segment of a human are executed by the same methods, and never at the same time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.robot.gate.commands import Room
from chunk_ppo_ros.robot.gate.gate import ChunkEnding, Gate
from chunk_ppo_ros.robot.player.coming_to_rest import ComingToRest
from chunk_ppo_ros.robot.player.execution_report import ExecutionReport
from chunk_ppo_ros.robot.player.joint_readings import JointReadings
from chunk_ppo_ros.robot.player.obstructions import Obstructions
from chunk_ppo_ros.robot.player.operator_look import OperatorLook
from chunk_ppo_ros.robot.player.running_execution import PlayedChunk, RunningExecution
from chunk_ppo_ros.robot.player.scripted_motion import MotionRequest, ScriptedMotion, ending_of, plan


class MotionExecutor:
    """Executes one chunk or segment at a time, and sends every command through the gate.

    Args:
        config: the control rate and the limits.
        readings: the newest joint states.
        report: is called with the result of each execution.
        lockstep: whether one control period passes between two commands, whatever the clock says.
        simulated: whether the arms are our simulator's, which moves them by itself between two motions.

    Raises:
        RegistryError: for a measurement of another package that cannot be used.
    """

    def __init__(
        self,
        config: RobotConfig,
        readings: JointReadings,
        report: Callable[[ExecutionResult], None],
        *,
        lockstep: bool,
        simulated: bool,
    ) -> None:
        self._config = config
        self._readings = readings
        self._lockstep = lockstep
        self._shadow = config.shadow
        self._simulated = simulated
        self.gate = Gate(config)
        """The gate that every command passes."""
        self._report = ExecutionReport(config, self.gate, readings, report)
        self._running: RunningExecution | None = None
        self._follows = False  # whether a human moves the robot, and nothing of it is recorded
        self.obstructions = Obstructions(config, readings)
        """Notices that the arms do not follow."""
        self.rest = ComingToRest(self.gate)
        """Brings the robot to rest after a stop."""
        self._look = OperatorLook(readings, needed=not simulated, shadow=config.shadow)

    @property
    def running(self) -> RunningExecution | None:
        """What is being executed, or None."""
        return self._running

    @property
    def comes_to_rest(self) -> bool:
        """Whether the robot still moves after a stop, so that no chunk may start. A simulator in lockstep does not."""
        return (self.rest.blocks and not self._lockstep) or bool(self.unsettled())

    def is_early(self, now: float) -> bool:
        """Returns whether a command at this time would come too shortly after the last one."""
        return self.gate.is_early(self._time(now))

    def anchor(self) -> float:
        """Begins a motion from the last command or the measured position; see `Gate.anchor`."""
        return self.gate.anchor(self._readings.positions())

    def begin(self, execution: RunningExecution) -> None:
        """Begins to execute a chunk or segment. The robot no longer comes to rest."""
        self.rest.leave()
        self._look.moved()
        self._running, self._follows = execution, False

    def begin_scripted(self, request: MotionRequest, *, now: float) -> ScriptedMotion:
        """Begins a scripted motion from the last command or the measured position, and returns it.

        Args:
            request: where to, which was checked.
            now: the steady time, s.
        """
        self.anchor()
        motion = plan(request, self.gate.starting_point(self._readings.positions()), self._config)
        motion.last_step = now
        self.begin(motion)
        return motion

    def play(self, chunk: PlayedChunk, *, now: float, stamp: int) -> np.ndarray | None:
        """Returns the next step of a chunk, float64 [14], or None where the chunk has ended.

        Args:
            chunk: the chunk that is being executed.
            now: the steady time, s.
            stamp: the ROS time of the step, ns.
        """
        scripted = chunk if isinstance(chunk, ScriptedMotion) else None
        ending = ending_of(scripted, self.gate) if scripted else self.gate.ending(chunk.targets, chunk.commanded)
        if ending is not None and not ending.has_arrived:
            return self._cut_short(ending, now)
        if ending is not None:
            still = self.obstructions.stood_still(chunk)
            self.finish(Status.FAULT if still else ending.status, still or ending.message, counts=not still)
            return None
        if not chunk.num_commands:
            chunk.start_error = self.anchor()
        left = chunk.targets[min(chunk.num_commands, len(chunk.targets) - 1) :]
        speed = scripted.speed if scripted else 1.0
        return self.send(chunk, left[0], now=now, stamp=stamp, room=Room.of(left), speed=speed)

    def _cut_short(self, ending: ChunkEnding, now: float) -> np.ndarray | None:
        """Ends a chunk that the limits made too slow, and returns the next command.

        The robot may still be fast. It brakes until the next chunk, which starts with the speed that is left. In
        lockstep no time passes until then.
        """
        self.finish(ending.status, ending.message)
        if not self._lockstep and not self._shadow:
            self.rest.brake(glides=True)
        return self.take_hold(now)

    def send(
        self,
        running: RunningExecution,
        target: np.ndarray,
        *,
        now: float,
        stamp: int,
        room: Room | None = None,
        speed: float = 1.0,
    ) -> np.ndarray:
        """Returns the next step of what is being executed, float64 [14], within the limits.

        Args:
            running: what is being executed.
            target: float64 [14], the target that is asked for.
            now: the steady time, s.
            stamp: the ROS time of the step, ns.
            room: where the commands that follow may lead, or None where only this target is known.
            speed: the part of the speed limit that is used, 0..1.
        """
        limited = self.gate.send(target, now=self._time(now), room=room, speed=speed)
        # The steady clock counts durations, because a ROS clock may be set. In lockstep they are in simulated time.
        time = stamp if self._lockstep else round(now * NANOSECONDS)
        running.record(target, limited, self._readings, now=now, time=time)
        return limited.target

    def follow(self, target: np.ndarray, *, now: float) -> np.ndarray:
        """Returns a step from the anchor that is not recorded, float64 [14], within the limits."""
        self.rest.leave()
        self._look.moved()
        self._follows = True
        return self.gate.send(target, now=self._time(now)).target

    def finish(self, status: Status, message: str, *, counts: bool = True) -> None:
        """Ends what is being executed, and reports its result. The motors hold the last command.

        Args:
            status: how it ended.
            message: the reason, or empty.
            counts: whether the steps that were sent count. Those of an arm that did not follow do not.
        """
        done, self._running = self._running, None
        if done is not None:
            self._report.end(done, status, message, counts=counts)
        if self._shadow:
            self.gate.release()  # The next chunk starts where a person has moved the arms meanwhile.

    def stop(self, status: Status, reason: str, *, counts: bool = True) -> None:
        """Ends what is being executed, or followed, if anything is. The robot comes to rest and holds its position.

        The next motion starts from the last command, which the motors hold. A simulator may have moved its arms.
        """
        if self._follows or self._running is not None:
            self.hand_over(status, reason, counts=counts)
            self._release_if_simulated()

    def hand_over(self, status: Status, reason: str, *, counts: bool = True) -> None:
        """Stops like `stop`, but the policy or the human starts from the last command next."""
        self.brake()
        if self._running is not None:
            self.finish(status, reason, counts=counts)

    def brake(self) -> None:
        """Lets the robot come to rest, unless it is at rest."""
        if self._shadow:
            return
        has_moved = self._follows or (self._running is not None and self._running.num_commands > 0)
        self._follows = False
        if has_moved or not self.gate.rests:
            self.rest.brake()

    def obstruction(self, now: float) -> str:
        """Returns which joint has not followed, or which motor was overloaded or limp, for too long, or nothing."""
        commanded = self.gate.commanded
        if commanded is None or not (self._follows or self._running is not None):
            return ""
        return self.obstructions.problem(commanded, now=now)

    def give_way(self, status: Status, reason: str, *, now: float) -> None:
        """Stops like `stop`, and moves the command to the measured position once.

        The last command would press what is in the way with all the strength of the motors. The robot does not give way
        again, because gravity would then let the arms creep down.
        """
        self.stop(status, reason, counts=False)
        self.rest.give_way(self.obstructions.way_out(self.gate.commanded, now=now))

    def forget_command(self) -> None:
        """Lets the next motion start where the arms are, because the operator has looked, or a simulator is reset."""
        self._look.looked()
        if not self.rest.is_under_way:  # A robot that still brakes goes on from its last command.
            self._release_if_simulated()

    def _release_if_simulated(self) -> None:
        if self._simulated:
            self.gate.release()

    def drop_goals(self) -> None:
        """Lets the next motion start where the arms are, because the motors no longer hold the last command."""
        self.gate.release()
        self._look.lost_goals()

    def strayed(self) -> str:
        """Returns why the operator must look at the arms before the next motion, or an empty string."""
        return self._look.reason(self.gate.commanded, moves=self._running is not None)

    def unsettled(self) -> str:
        """Returns why no motion may begin yet; see `ComingToRest.unsettled`. A simulator in lockstep is at rest."""
        return "" if self._lockstep else self.rest.unsettled(self._readings.positions)

    def take_hold(self, now: float) -> np.ndarray | None:
        """Returns the next command, float64 [14], of a robot that comes to rest after a stop, and then None."""
        return self.rest.command(self._time(now))

    def overdue(self, now: float) -> str | None:
        """Returns which arm's joint states are too old while something is executed, or None."""
        if self._running is None:
            return None
        return self._readings.overdue(now, last_step=self._running.last_step)

    def _time(self, now: float) -> float | None:
        """Returns the steady time for the gate, which counts control periods in lockstep."""
        return None if self._lockstep else now
