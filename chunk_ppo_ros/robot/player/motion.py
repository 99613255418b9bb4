"""Moves the robot by limited targets: what it executes at present, what it was last commanded, and what it holds.

A chunk of the policy and a segment of a human are executed by the same methods, and never at the same time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status, shadowed, uncounted
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.command_limiter import Room
from chunk_ppo_ros.robot.gate.gate import ChunkEnding, Gate
from chunk_ppo_ros.robot.gate.motor_watch import MotorWatch
from chunk_ppo_ros.robot.measurements import Measurer
from chunk_ppo_ros.robot.player.coming_to_rest import ComingToRest
from chunk_ppo_ros.robot.player.joint_readings import JointReadings
from chunk_ppo_ros.robot.player.obstructions import Obstructions
from chunk_ppo_ros.robot.player.operator_look import OperatorLook
from chunk_ppo_ros.robot.player.running_execution import PlayedChunk, RunningExecution
from chunk_ppo_ros.robot.player.scripted_motion import MotionEnd, MotionRequest, ScriptedMotion, ending_of, plan


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
        self._period = 1.0 / config.control_rate
        self._readings = readings
        self._report = report
        self._lockstep = lockstep
        self._shadow = config.shadow
        self._simulated = simulated
        self._gate = Gate(config)
        self._measurer = Measurer()
        self._running: RunningExecution | None = None
        self._obstructions = Obstructions(config, readings)
        self._rest = ComingToRest(self._gate)
        self._look = OperatorLook(readings, needed=not simulated, shadow=config.shadow)

    @property
    def running(self) -> RunningExecution | None:
        """What is being executed, or None."""
        return self._running

    @property
    def commanded(self) -> np.ndarray | None:
        """The last command, float64 [14], or None before the first."""
        return self._gate.commanded

    @property
    def gate(self) -> Gate:
        """The gate that every command passes."""
        return self._gate

    @property
    def comes_to_rest(self) -> bool:
        """Whether the robot still moves after a stop, so that no chunk may start. A simulator in lockstep does not."""
        return self._rest.blocks and not self._lockstep

    @property
    def yields(self) -> bool:
        """Whether the robot gives way to an obstacle at present."""
        return self._rest.yields

    @property
    def stops(self) -> bool:
        """Whether commands are left to send until the robot is at rest."""
        return self._rest.is_under_way

    @property
    def motors(self) -> MotorWatch:
        """The watch of the motors' currents."""
        return self._obstructions.motors

    @property
    def outside(self) -> str:
        """Which arm is outside its workspace, and how far, or an empty string, also where an arm is not known."""
        return self._gate.outside(self._readings.positions()) if len(self._readings.stamps) == len(aloha.SIDES) else ""

    def is_early(self, now: float) -> bool:
        """Returns whether a command at this time would come too shortly after the last one."""
        return self._gate.is_early(self._time(now))

    def anchor(self) -> float:
        """Begins a motion from the last command or the measured position; see `Gate.anchor`."""
        return self._gate.anchor(self._readings.positions())

    def begin(self, execution: RunningExecution) -> None:
        """Begins to execute a chunk or segment. The robot no longer comes to rest."""
        self._rest.leave()
        self._look.moved()
        self._running = execution

    def begin_scripted(self, request: MotionRequest, *, now: float) -> ScriptedMotion:
        """Begins a scripted motion from the last command or the measured position, and returns it.

        Args:
            request: where to, which was checked.
            now: the steady time, s.
        """
        self.anchor()
        motion = plan(request, self._gate.starting_point(self._readings.positions()), self._config)
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
        gate = self._gate
        ending = ending_of(scripted, gate) if scripted else gate.ending(chunk.targets, chunk.commanded)
        if ending is not None and not ending.has_arrived:
            return self._cut_short(ending, now)
        if ending is not None:
            still = self._obstructions.stood_still(chunk)
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
            self._rest.brake(glides=True)
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
        limited = self._gate.send(target, now=self._time(now), room=room, speed=speed)
        # The steady clock counts durations, because a ROS clock may be set. In lockstep they are in simulated time.
        time = stamp if self._lockstep else round(now * NANOSECONDS)
        running.record(target, limited, self._readings, now=now, time=time)
        return limited.target

    def follow(self, target: np.ndarray, *, now: float) -> np.ndarray:
        """Returns a step from the anchor that is not recorded, float64 [14], within the limits."""
        self._rest.leave()
        return self._gate.send(target, now=self._time(now)).target

    def finish(self, status: Status, message: str, *, counts: bool = True) -> None:
        """Ends what is being executed, and reports its result. The motors hold the last command.

        The result of a scripted motion is in the motion itself.

        Args:
            status: how it ended.
            message: the reason, or empty.
            counts: whether the steps that were sent count. Those of an arm that did not follow do not.
        """
        done, self._running = self._running, None
        if isinstance(done, ScriptedMotion):
            done.end = MotionEnd(status, message)
        elif done is not None:
            result = done.result(status, message, readings=self._readings, period=self._period, measurer=self._measurer)
            result = dataclasses.replace(result, num_steps=self._num_steps(done))
            self._report(shadowed(result) if self._shadow else result if counts else uncounted(result))
        if self._shadow:
            self._gate.release()  # The next chunk starts where a person has moved the arms meanwhile.

    def _num_steps(self, done: RunningExecution) -> int:
        """Returns how many control steps of a chunk or segment count. A chunk counts the targets that it passed."""
        if isinstance(done, PlayedChunk):
            return self._gate.num_passed(done.targets, done.commanded)
        return done.num_commands

    def stop(self, status: Status, reason: str, *, counts: bool = True) -> None:
        """Ends what is being executed, if anything is. The robot comes to rest and holds its position.

        The next motion starts from the last command, which the motors hold. A simulator may have moved its arms.
        """
        if self._running is not None:
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
        has_moved = self._running is not None and self._running.num_commands > 0
        if has_moved or not self._gate.rests:
            self._rest.brake()

    def stop_yielding(self) -> None:
        """Lets the robot brake where it gives way to an obstacle, because it must not move at all."""
        self._rest.stop_yielding()

    def obstruction(self, now: float) -> str:
        """Returns which joint has not followed, or which motor was overloaded or limp, for too long, or nothing."""
        commanded = self._gate.commanded
        if self._running is None or commanded is None:
            return ""
        return self._obstructions.problem(commanded, now=now)

    def give_way(self, status: Status, reason: str, *, now: float) -> None:
        """Stops like `stop`, and moves the command to the measured position once.

        The last command would press what is in the way with all the strength of the motors. The robot does not give way
        again, because gravity would then let the arms creep down.
        """
        self.stop(status, reason, counts=False)
        self._rest.give_way(self._obstructions.way_out(self._gate.commanded, now=now))

    def forget_command(self) -> None:
        """Lets the next motion start where the arms are, because the operator has looked, or a simulator is reset."""
        self._look.looked()
        if not self._rest.is_under_way:  # A robot that still brakes goes on from its last command.
            self._release_if_simulated()

    def _release_if_simulated(self) -> None:
        if self._simulated:
            self._gate.release()

    def drop_goals(self) -> None:
        """Lets the next motion start where the arms are, because the motors no longer hold the last command."""
        self._gate.release()
        self._look.lost_goals()

    def strayed(self) -> str:
        """Returns why the operator must look at the arms before the next motion, or an empty string."""
        return self._look.reason(self._gate.commanded, moves=self._running is not None)

    def take_hold(self, now: float) -> np.ndarray | None:
        """Returns the next command, float64 [14], of a robot that comes to rest after a stop, and then None."""
        return self._rest.command(self._time(now))

    def held(self, *, follows_leader: bool) -> np.ndarray:
        """Returns the position that the motors hold, float [14].

        While a leader is followed it is the last command. Otherwise it is found as at the start of a chunk, because
        people may have moved the arms meanwhile, or the arms may have lost their power.
        """
        if follows_leader and self._gate.commanded is not None:
            return self._gate.commanded
        return self._gate.starting_point(self._readings.positions())

    def overdue(self, now: float) -> str | None:
        """Returns which arm's joint states are too old while something is executed, or None."""
        if self._running is None:
            return None
        return self._readings.overdue(now, last_step=self._running.last_step)

    def _time(self, now: float) -> float | None:
        """Returns the steady time for the gate, which counts control periods in lockstep."""
        return None if self._lockstep else now
