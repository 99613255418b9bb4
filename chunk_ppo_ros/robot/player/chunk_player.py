"""Plays chunks: takes pairs of arm trajectories, or the motion of a human's leaders, and gives one safe target a step.

The chunk player is a pure state machine. Its owner gives it trajectories and joint states, calls `tick` once per
control step, sends the target that `tick` returns, and publishes the results. A person may stand beside this robot.
Therefore nothing that fails a check is played, and the robot brakes and holds when something goes wrong during a chunk.
While a human drives, chunks are refused, and `human_driving.py` makes the steps.

`now` is the time of a steady clock in s. Stamps are ROS times in ns, which only join and order messages.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.arm_trajectory import ArmTrajectory
from chunk_ppo_ros.robot.gate.motor_watch import MotorWatch
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.leaders.leader_arms import LeaderArms
from chunk_ppo_ros.robot.player.chunks.chunk_intake import ChunkIntake
from chunk_ppo_ros.robot.player.chunks.result_log import ResultLog
from chunk_ppo_ros.robot.player.human_driving import HumanDriving
from chunk_ppo_ros.robot.player.joint_readings import JointReadings
from chunk_ppo_ros.robot.player.motion import MotionExecutor
from chunk_ppo_ros.robot.player.readiness import Readiness
from chunk_ppo_ros.robot.player.running_execution import PlayedChunk
from chunk_ppo_ros.robot.player.scripted_motion import (
    MotionRefused,
    MotionRequest,
    ScriptedMotion,
    check_request,
)


class ChunkPlayer:
    """Plays one chunk at a time. Every pair of trajectories and every human's segment ends in exactly one result."""

    def __init__(
        self,
        config: RobotConfig,
        *,
        state_timeout: float,
        states_on_demand: bool,
        trust: TrustRule,
        segment_steps: int = 16,
    ) -> None:
        """Starts idle and not suspended.

        Args:
            config: the control rate, the limits and the deadlines.
            state_timeout: the age of joint states, s, beyond which the motion stops.
            states_on_demand: whether joint states come only in answer to a step (lockstep). Then their age counts from
                the last step, and it does not matter while the robot is idle.
            trust: says which joint states are believed.
            segment_steps: the number H of control steps in a full segment that a human drives.

        Raises:
            RegistryError: for a measurement of another package that cannot be used.
        """
        self._config = config
        self._simulated = not trust.asks
        self._readings = JointReadings(timeout=state_timeout, on_demand=states_on_demand, rule=trust)
        self._results = ResultLog()
        self._motion = MotionExecutor(
            config, self._readings, self._results.report, lockstep=states_on_demand, simulated=not trust.asks
        )
        self.leaders = LeaderArms(config, trust.for_leaders())
        """The leader arms, which take their joint states and know whether they are ready to be followed."""
        self._human = HumanDriving(
            self.leaders, self._motion, self._readings, settles=states_on_demand, segment_steps=segment_steps
        )
        self.readiness = Readiness(self._motion, self._human, self._readings)
        """Why the robot may not move now. The owner tells it what it knows."""
        self._intake = ChunkIntake(config, self._motion, self.readiness, self._readings, self._results)

    @property
    def playing(self) -> bool:
        """Whether a chunk of the policy or a segment of a human is being executed."""
        return self._motion.running is not None

    @property
    def played_stamp(self) -> int | None:
        """The stamp of the policy's chunk that is being executed, ns; None where none is."""
        running = self._motion.running
        is_chunk = isinstance(running, PlayedChunk) and not isinstance(running, ScriptedMotion)
        return running.stamp if running is not None and is_chunk else None

    @property
    def awaits_first_step(self) -> bool:
        """Whether a chunk or segment is being executed of which nothing has been sent yet."""
        return self._motion.running is not None and self._motion.running.num_commands == 0

    @property
    def stops(self) -> bool:
        """Whether commands are left to send until the robot is at rest after a stop."""
        return self._motion.rest.is_under_way

    @property
    def human_drives(self) -> bool:
        """Whether a human has taken over."""
        return self._human.is_driving

    @property
    def segment(self) -> int:
        """The stamp of the newest segment that a human began, ns; 0 before the first."""
        return self._human.segment

    @property
    def teleoperation_problem(self) -> str:
        """The reason why an arm does not follow its leader although a human drives; empty where both follow."""
        return self._human.problem

    @property
    def motors(self) -> MotorWatch:
        """The watch of the motors' currents, which takes them from the joint states."""
        return self._motion.obstructions.motors

    @property
    def state_stamps(self) -> dict[str, int]:
        """The stamp of the newest joint states of each arm, ns."""
        return self._readings.stamps

    def observe(
        self, side: str, state: np.ndarray, *, stamp: int, now: float, age: float = 0.0, effort: float | None = None
    ) -> None:
        """Takes an arm's joint states, float [7], and its mean |effort|, which is None where it is unknown.

        Joint states whose stamp is not new are not used, and the arm counts as silent.

        Args:
            side: "left" or "right".
            state: float [7], rad and normalized opening.
            stamp: the ROS time of the joint states, ns.
            now: the steady time, s.
            age: the ROS time of arrival minus the stamp, s.
            effort: the mean |effort| of the arm, or None where it is unknown.
        """
        commanded = None if self._config.shadow else self._motion.gate.commanded
        last = None if commanded is None else commanded[aloha.side_slice(side)]
        self._readings.observe(side, state, stamp=stamp, now=now, age=age, effort=effort, commanded=last)

    def receive(self, side: str, trajectory: ArmTrajectory, *, age: float, now: float) -> None:
        """Takes one arm's half of a chunk; see `ChunkIntake.receive`."""
        if abs(age) <= self._config.chunk_deadline:  # Otherwise a forged stamp would set the stamps of segments.
            self._human.note_stamp(trajectory.stamp)
        self._intake.receive(side, trajectory, age=age, now=now)

    def has_ended(self, stamp: int) -> bool:
        """Returns whether the chunk of this stamp (ns) has a result."""
        return self._results.has(stamp)

    def note_ended(self, stamps: Iterable[int]) -> None:
        """Records that chunks with these stamps (ns) have a result of an earlier process. They are not played again."""
        self._results.note(stamps)

    def refuse(self, stamp: int, reason: str) -> None:
        """Refuses the chunk of this stamp (ns), for example because a half of it cannot be read."""
        self._intake.refuse(stamp, reason)

    def observe_leader(self, side: str, state: np.ndarray, *, now: float, stamp: int = 0, age: float = 0.0) -> None:
        """Takes a leader's joint states; see `LeaderArms.observe`. They are followed only while a human drives."""
        self.leaders.observe(side, state, now=now, stamp=stamp, age=age)

    def held(self, now: float) -> np.ndarray | None:
        """Returns where the motors hold the robot, float [14], or None where that is not known now, steady s."""
        return None if self._readings.blind(now) else self._human.held(follows_leader=self.leaders.any_followed)

    def take_over(self) -> None:
        """Records that a human drives from now on. The running chunk ends, and the robot comes to rest."""
        self._human.take_over()

    def give_back(self) -> None:
        """Ends the human's segment. The robot holds its position, and chunks may be played again."""
        self._human.give_back()

    def move_to(self, request: MotionRequest, *, now: float) -> ScriptedMotion:
        """Begins a scripted motion, which may move a suspended robot. No chunk is played before its end.

        Args:
            request: where to.
            now: the steady time, s.

        Raises:
            MotionRefused: where it must not begin. The reasons are those of a chunk, but for the suspension, and for an
                obstacle that spares scripted motions.
        """
        check_request(request, self._config)
        if reason := self.readiness.busy(now, scripted=True):
            raise MotionRefused(reason)
        return self._motion.begin_scripted(request, now=now)

    def end_scripted(self, reason: str) -> None:
        """Ends a scripted motion, if there is one. The robot brakes and holds its position."""
        if isinstance(self._motion.running, ScriptedMotion):
            self.stop(Status.CANCELLED, reason)

    def suspend(self, reason: str, *, freeze: bool = True) -> None:
        """Cancels the running chunk and refuses all others until `resume`.

        Args:
            reason: the reason in words.
            freeze: whether a human who has taken over cannot move the robot either. Otherwise the robot follows the
                human, but its motion is not recorded as a segment.
        """
        self.readiness.suspended, self.readiness.is_frozen = reason, freeze
        if freeze:
            self._motion.rest.stop_yielding()
        self.cancel(reason)

    def cancel(self, reason: str) -> None:
        """Ends the running chunk or segment, if there is one, whose steps count. The robot brakes and holds.

        Args:
            reason: the reason in words.
        """
        if self.human_drives:
            self._motion.hand_over(Status.CANCELLED, reason)
        else:
            self.stop(Status.CANCELLED, reason)

    def confirm(self) -> None:
        """Records that the operator has seen where the robot is. The next motion may start from there."""
        self._readings.confirm()
        self.leaders.confirm()
        if not self.playing and (self.readiness.is_frozen or not self.leaders.any_followed):
            self._motion.forget_command()

    def resume(self, *, confirmed: bool = True) -> None:
        """Allows chunks again, and confirms where the robot is if the operator has looked."""
        self.end_scripted("an episode goes on")
        if confirmed:
            self.confirm()
        self.readiness.suspended, self.readiness.is_frozen = "", False

    def set_max_velocity(self, max_velocity: float) -> None:
        """Limits the speed of the arm joints to another value from the next command on, rad/s."""
        self._motion.gate.set_max_velocity(max_velocity)

    def stop(self, status: Status, reason: str) -> None:
        """Ends the running chunk, if there is one, with a status and a reason. The robot holds its position."""
        self._motion.stop(status, reason)

    def watch(self, now: float) -> None:
        """Refuses chunks whose second half did not come in time, and stops the motion when joint states are overdue."""
        self._intake.refuse_overdue(now)
        fault, counts = self.readiness.fault(now)
        if fault:
            self._motion.rest.stop_yielding()
            # A simulator that does not answer has died, or will be taken for dead. A driver may send again.
            moved = self.played_stamp is not None and not self.awaits_first_step
            has_died = self._simulated and moved and fault == self._motion.overdue(now)
            self._motion.stop(Status.INTERRUPTED if has_died else Status.FAULT, fault, counts=counts)
        elif obstruction := self._motion.obstruction(now):
            self._motion.give_way(Status.FAULT, obstruction, now=now)
            self.leaders.release(obstruction)

    def tick(self, now: float, *, stamp: int = 0) -> np.ndarray | None:
        """Returns the target of this control step, float64 [14], or None when there is nothing to send.

        After a stop the position to hold is returned once. The step after the last target ends the chunk.

        Args:
            now: the steady time, s.
            stamp: the ROS time of the step, ns. A human's segment that begins with this step takes its own stamp from
                it. In lockstep it counts the duration of a chunk, and else `now` does.
        """
        self.watch(now)
        if self._motion.is_early(now):
            return None
        if self.human_drives:
            obstacle = self.readiness.obstacle
            frozen = self.readiness.is_frozen or bool(obstacle)
            return self._human.step(now, stamp, suspended=obstacle or self.readiness.suspended, frozen=frozen)
        chunk = self._motion.running
        if not isinstance(chunk, PlayedChunk):
            return self._motion.take_hold(now)
        return self._motion.play(chunk, now=now, stamp=stamp)

    def take_results(self) -> list[ExecutionResult]:
        """Returns the results since the last call, oldest first. The owner fills in `end`, `run_id` and `sender`."""
        return self._results.take()
