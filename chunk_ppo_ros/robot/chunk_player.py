"""Plays chunks: takes pairs of arm trajectories, or the motion of a human's leaders, and gives one safe target a step.

The chunk player is a pure state machine. Its owner gives it trajectories and joint states, calls `tick` once per
control step, sends the target that `tick` returns, and publishes the results. A person may stand beside this robot.
Therefore nothing that fails a check is played, and the robot holds the last commanded position when something goes
wrong during a chunk. While a human drives, chunks are refused. The human's commands pass the same limits and are cut
into segments of a chunk's length, each with a result of its own.

`now` is the time of a steady clock in s. Stamps are ROS times in ns, which only join and order messages.
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.arm_trajectory import ArmTrajectory
from chunk_ppo_ros.robot.leader_arms import LeaderArms
from chunk_ppo_ros.robot.measurements import ExecutedStep, Measurer
from chunk_ppo_ros.robot.safety import TargetLimiter, check_chunk

REMEMBERED_STAMPS = 256
"""The number of reported stamps that are remembered, so that a late half of a reported chunk is ignored."""
SETTLING_STEPS = 10
"""The number of steps that a human waits before a segment in lockstep.

Time stands still during the wait, and the cameras show the start of the segment.
"""
SEGMENT_STAMP_OFFSET = 1_000
"""The time by which the stamp of a human's segment lies after its first step, ns.

A chunk's stamp is moved by less than this to be new. Therefore the stamps of a segment and of a chunk differ, although
a simulator's time may stand still.
"""


@dataclasses.dataclass
class _Pair:
    """Holds the halves of a chunk that have arrived, the time of the first (steady s) and the larger age (s)."""

    first_arrival: float
    age: float
    halves: dict[str, ArmTrajectory] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class _Playing:
    """Holds what has been sent of the chunk or segment that is being executed.

    Attributes:
        stamp: the stamp of the chunk or segment, ns.
        previous: float [14], the last commanded target, or the position from which the first step starts.
        last_step: the time of the last step, steady s.
        stamps: the ROS time of each command, ns.
        asked: the target float64 [14] of each step before limiting.
        commanded: the commanded target float64 [14] of each step.
        causes: the limits that changed the target of each step, as the number of a `Cause`.
        max_clamp: the largest change of a target by the limits, rad, or normalized where it is a gripper.
        efforts: the mean |effort| of each step but the last; None where it is unknown.
        measured: the joint positions float64 [14] after each step but the last.
    """

    stamp: int
    previous: np.ndarray
    last_step: float
    stamps: list[int] = dataclasses.field(default_factory=list)
    asked: list[np.ndarray] = dataclasses.field(default_factory=list)
    commanded: list[np.ndarray] = dataclasses.field(default_factory=list)
    causes: list[int] = dataclasses.field(default_factory=list)
    max_clamp: float = 0.0
    efforts: list[float | None] = dataclasses.field(default_factory=list)
    measured: list[np.ndarray] = dataclasses.field(default_factory=list)

    @property
    def num_steps(self) -> int:
        return len(self.commanded)


@dataclasses.dataclass
class _Chunk(_Playing):
    """Represents a chunk of the policy that is being executed. Its targets are float64 [k, 14]."""

    targets: np.ndarray = dataclasses.field(kw_only=True)


@dataclasses.dataclass
class _Segment(_Playing):
    """Represents a segment that a human drives."""


@dataclasses.dataclass(frozen=True)
class _Reading:
    """Holds an arm's newest joint states, with their stamp (ns), their arrival (steady s) and the mean |effort|."""

    stamp: int
    arrival: float
    state: np.ndarray
    effort: float | None


class ChunkPlayer:
    """Plays one chunk at a time. Every pair of trajectories and every human's segment ends in exactly one result."""

    def __init__(
        self, config: RobotConfig, *, state_timeout: float, states_on_demand: bool, segment_steps: int = 16
    ) -> None:
        """Starts idle and not suspended.

        Args:
            config: the control rate, the limits and the deadlines.
            state_timeout: the age of joint states, s, beyond which the motion stops.
            states_on_demand: whether joint states come only in answer to a step (lockstep). Then their age counts from
                the last step, and it does not matter while the robot is idle.
            segment_steps: the number H of control steps in a full segment that a human drives.

        Raises:
            RegistryError: for a measurement of another package that cannot be used.
        """
        self._config = config
        self._state_timeout = state_timeout
        self._states_on_demand = states_on_demand
        self._limiter = TargetLimiter(config)
        self._readings: dict[str, _Reading] = {}
        self._pairs: dict[int, _Pair] = {}
        self._playing: _Playing | None = None
        self._segment_steps = segment_steps
        self._leaders = LeaderArms(config)
        self._measurer = Measurer()
        self._human_drives = False
        self._settling = 0
        self._newest_stamp = 0
        self._segment = 0
        self._suspended = ""
        self._frozen = False
        self._commanded: np.ndarray | None = None
        self._hold: np.ndarray | None = None
        self._results: list[ExecutionResult] = []
        self._reported: collections.deque[int] = collections.deque(maxlen=REMEMBERED_STAMPS)

    @property
    def playing(self) -> bool:
        """Whether a chunk of the policy or a segment of a human is being executed."""
        return self._playing is not None

    @property
    def human_drives(self) -> bool:
        """Whether a human has taken over."""
        return self._human_drives

    @property
    def segment(self) -> int:
        """The stamp of the newest segment that a human began, ns; 0 before the first."""
        return self._segment

    @property
    def teleoperation_problem(self) -> str:
        """The reason why an arm does not follow its leader although a human drives; empty where both follow."""
        return self._leaders.problem if self._human_drives else ""

    @property
    def suspended(self) -> str:
        """The reason why no chunk may be played; empty when one may be played."""
        return self._suspended

    @property
    def state_stamps(self) -> dict[str, int]:
        """The stamp of the newest joint states of each arm that has sent any, ns."""
        return {side: reading.stamp for side, reading in self._readings.items()}

    def observe(self, side: str, state: np.ndarray, *, stamp: int, now: float, effort: float | None = None) -> None:
        """Takes an arm's joint states, float [7], and its mean |effort|, which is None where it is unknown.

        Joint states whose stamp is repeated are ignored, and the arm counts as silent.
        """
        known = self._readings.get(side)
        if known is None or stamp != known.stamp:
            self._readings[side] = _Reading(stamp, now, state, effort)

    def receive(self, side: str, trajectory: ArmTrajectory, *, age: float, now: float) -> None:
        """Takes one arm's half of a chunk. With the second half it starts the chunk or refuses it.

        Args:
            side: "left" or "right".
            trajectory: the half of the chunk.
            age: the ROS time of arrival minus the stamp, s.
            now: the steady time, s.
        """
        if trajectory.stamp in self._reported:
            return
        self._newest_stamp = max(self._newest_stamp, trajectory.stamp)
        pair = self._pairs.setdefault(trajectory.stamp, _Pair(now, age))
        pair.halves[side] = trajectory
        pair.age = max(pair.age, age)
        if len(pair.halves) == len(aloha.SIDES):
            del self._pairs[trajectory.stamp]
            self._start(pair, now)

    def refuse(self, stamp: int, reason: str) -> None:
        """Refuses the chunk of this stamp (ns), for example because a half of it cannot be read."""
        self._pairs.pop(stamp, None)
        if stamp not in self._reported:
            self._report(ExecutionResult.nothing(Status.REFUSED, reason, stamp=stamp))

    def observe_leader(self, side: str, state: np.ndarray, *, now: float) -> None:
        """Takes a leader arm's joint states, float [7]. They are followed only while a human drives."""
        self._leaders.observe(side, state, now=now)

    def take_over(self) -> None:
        """Records that a human drives from now on.

        The running chunk ends after the step that was sent, and the robot holds that position.
        """
        if not self._human_drives:
            self._leaders.release()
            self._settling = SETTLING_STEPS
            self._hand_over(Status.TAKEOVER, "a human took over")
            self._human_drives = True

    def give_back(self) -> None:
        """Ends the human's segment. The robot holds its position, and chunks may be played again."""
        if self._human_drives:
            self._human_drives = False
            self._hand_over(Status.CANCELLED, "handed back")

    def suspend(self, reason: str, *, freeze: bool = True) -> None:
        """Cancels the running chunk and refuses all others until `resume`.

        Args:
            reason: the reason in words.
            freeze: whether a human who has taken over cannot move the robot either. Otherwise the robot follows the
                human, but its motion is not recorded as a segment.
        """
        self._suspended, self._frozen = reason, freeze
        if self._human_drives:
            self._hand_over(Status.CANCELLED, reason)
        else:
            self.stop(Status.CANCELLED, reason)

    def resume(self) -> None:
        """Allows chunks again.

        The next motion starts from the measured position, unless a human went on to drive while chunks were refused.
        """
        if self._frozen or not self._human_drives:
            self._commanded = None
        self._suspended, self._frozen = "", False

    def stop(self, status: Status, reason: str) -> None:
        """Ends the running chunk, if there is one, with a status and a reason. The robot holds its position."""
        if self._playing is None:
            return
        self._hold = self._limiter.limit(self._playing.previous, self._playing.previous, self._period).target
        self._finish(self._playing, status, reason)
        self._commanded = None

    def watch(self, now: float) -> None:
        """Refuses chunks whose second half did not come in time, and stops the motion when joint states are overdue."""
        for stamp, pair in list(self._pairs.items()):
            if now - pair.first_arrival > self._config.pair_timeout:
                missing = next(side for side in aloha.SIDES if side not in pair.halves)
                timeout = self._config.pair_timeout
                self.refuse(
                    stamp, f"the {missing} arm's trajectory did not come within {timeout} s (robot.pair_timeout)"
                )
        if self._playing is not None:
            overdue = self._overdue(now)
            if overdue:
                self.stop(Status.FAULT, overdue)

    def tick(self, now: float, *, stamp: int = 0) -> np.ndarray | None:
        """Returns the target of this control step, float64 [14], or None when there is nothing to send.

        After a stop the position to hold is returned once. The step after the last target ends the chunk.

        Args:
            now: the steady time, s.
            stamp: the ROS time of the step, ns. The duration of a chunk is counted by it. A human's segment that begins
                with this step takes its own stamp from it.
        """
        self.watch(now)
        if self._human_drives:
            return self._drive(now, stamp)
        chunk = self._playing
        if not isinstance(chunk, _Chunk):
            return self._take_hold()
        if chunk.num_steps == len(chunk.targets):
            self._finish(chunk, Status.EXECUTED, "")
            return None
        return self._send(chunk, chunk.targets[chunk.num_steps], now, stamp)

    def take_results(self) -> list[ExecutionResult]:
        """Returns the results since the last call, oldest first. The owner fills in their `end` and `run_id`."""
        results, self._results = self._results, []
        return results

    @property
    def _period(self) -> float:
        return 1.0 / self._config.control_rate

    def _start(self, pair: _Pair, now: float) -> None:
        left, right = (pair.halves[side] for side in aloha.SIDES)
        reason = self._unready(now) or _mismatch(left, right)
        if not reason:
            targets = np.concatenate([left.positions, right.positions], axis=1)
            measured = self._measured()
            reason = check_chunk(left.times, targets, measured=measured, age=pair.age, config=self._config)
        if reason:
            self.refuse(left.stamp, reason)
            return
        self._hold = None
        self._playing = _Chunk(left.stamp, self._starting_point(measured), now, targets=targets)

    def _unready(self, now: float) -> str | None:
        """Returns why no chunk can start now."""
        if self._human_drives:
            return "a human drives the robot; hand it back by the service takeover with data: false"
        if self._suspended:
            return f"the robot must be free to move, but it is suspended: {self._suspended}"
        if self._playing is not None:
            return "a chunk is already playing; send the next one after its execution result"
        return self._blind(now)

    def _blind(self, now: float) -> str | None:
        """Returns why it is not known where the robot stands."""
        for side in aloha.SIDES:
            if side not in self._readings:
                return f"joint states of the {side} arm must have come before a chunk; check its driver"
        return None if self._states_on_demand else self._overdue(now)

    def _overdue(self, now: float) -> str | None:
        """Returns which arm's joint states are too old, if any."""
        asked = self._playing.last_step if self._playing is not None and self._states_on_demand else -np.inf
        for side in aloha.SIDES:
            silence = now - max(self._readings[side].arrival, asked)
            if silence > self._state_timeout:
                return f"no joint states of the {side} arm for {silence:.2f} s, longer than {self._state_timeout} s"
        return None

    def _starting_point(self, measured: np.ndarray) -> np.ndarray:
        """Returns the position from which the first step's speed is limited, float [14].

        It is the last command, because the motors hold it between two chunks and the measured position only lags behind
        it. It is the measured position where there is no command, or where the two lie too far apart.
        """
        if self._commanded is None:
            return measured
        lag = np.abs(self._commanded - measured)[aloha.ARM_INDICES]
        return self._commanded if np.all(lag <= self._config.max_start_jump) else measured

    def _drive(self, now: float, stamp: int) -> np.ndarray | None:
        """Returns the target of one step that the human asks for.

        Where no leader is followed, it returns the held position once and then None.
        """
        if self._playing is not None and self._playing.num_steps == self._segment_steps:
            self._finish(self._playing, Status.EXECUTED, "")
            self._settling = SETTLING_STEPS
        self._settling = max(0, self._settling - 1)
        if self._settling and self._states_on_demand:
            return None
        obstacle = self._suspended if self._frozen else self._blind(now)
        if obstacle:
            self._leaders.release(obstacle)
            return self._take_hold()
        held = self._held()
        target = self._leaders.target(held, now=now)
        if target is None:
            self._hand_over(Status.CANCELLED, self._leaders.problem)
            return self._take_hold()
        self._hold = None  # The robot has left the position that it held.
        if self._suspended:
            self._commanded = self._limiter.limit(target, held, self._period).target
            return self._commanded
        self._playing = self._playing or self._begin_segment(held, now, stamp)
        return self._send(self._playing, target, now, stamp)

    def _begin_segment(self, held: np.ndarray, now: float, stamp: int) -> _Segment:
        """Begins a segment whose stamp differs from that of every chunk, even of one that was stamped at this time."""
        self._segment = self._newest_stamp = max(stamp, self._newest_stamp) + SEGMENT_STAMP_OFFSET
        return _Segment(self._segment, held, now)

    def _held(self) -> np.ndarray:
        """Returns the position that the motors hold, float [14].

        While a leader is followed it is the last command. Otherwise it is found as at the start of a chunk, because
        people may have moved the arms meanwhile, or the arms may have lost their power.
        """
        if self._leaders.any_followed and self._commanded is not None:
            return self._commanded
        return self._starting_point(self._measured())

    def _hand_over(self, status: Status, reason: str) -> None:
        """Stops the running chunk and remembers the held position, from which the policy or the human starts next."""
        previous = self._playing.previous if self._playing is not None else self._commanded
        self.stop(status, reason)
        self._commanded = previous

    def _take_hold(self) -> np.ndarray | None:
        hold, self._hold = self._hold, None
        return hold

    def _send(self, playing: _Playing, target: np.ndarray, now: float, stamp: int) -> np.ndarray:
        limited = self._limiter.limit(target, playing.previous, self._period)
        if playing.commanded:
            playing.efforts.append(self._effort())
            playing.measured.append(self._measured())
        playing.asked.append(target)
        playing.commanded.append(limited.target)
        playing.stamps.append(stamp)
        playing.causes.append(int(limited.causes))
        playing.max_clamp = max(playing.max_clamp, limited.max_clamp)
        playing.previous = self._commanded = limited.target
        playing.last_step = now
        return limited.target

    def _measured(self) -> np.ndarray:
        """Returns the newest joint positions of both arms, float64 [14]."""
        return np.concatenate([self._readings[side].state for side in aloha.SIDES])

    def _effort(self) -> float | None:
        """Returns the mean |effort| of both arms after the last step, or None where one is unknown."""
        return _mean([reading.effort for reading in self._readings.values()])

    def _finish(self, done: _Playing, status: Status, message: str) -> None:
        self._playing = None
        efforts = [*done.efforts, self._effort()]
        effort = _mean(efforts)
        effort = None if effort is None else effort * done.num_steps
        result = ExecutionResult(
            status=status,
            num_steps=done.num_steps,
            stamp=done.stamp,
            message=message,
            human_driven=isinstance(done, _Segment),
            max_clamp=done.max_clamp,
            effort=effort,
            duration=self._duration(done),
            measurements=self._measurer.measure(_steps(done, [*done.measured, self._measured()], efforts)),
            commanded=np.array(done.commanded, np.float32).reshape(-1, aloha.ACTION_DIM),
            causes=np.array(done.causes, np.uint8),
        )
        self._report(result)

    def _duration(self, done: _Playing) -> float | None:
        """Returns the time from the first command to one control period after the last, s, or None without one."""
        return (done.stamps[-1] - done.stamps[0]) * 1e-9 + self._period if done.stamps else None

    def _report(self, result: ExecutionResult) -> None:
        self._reported.append(result.stamp)
        self._results.append(result)


def _steps(done: _Playing, measured: list[np.ndarray], efforts: list[float | None]) -> list[ExecutedStep]:
    """Returns the executed steps of a chunk.

    Where no step was executed, `measured` and `efforts` have a reading all the same, which is left out.
    """
    return [ExecutedStep(*step) for step in zip(done.asked, done.commanded, measured, efforts, strict=False)]


def _mean(values: list[float | None]) -> float | None:
    """Returns the mean of the values, or None where one of them is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _mismatch(left: ArmTrajectory, right: ArmTrajectory) -> str | None:
    """Returns why two halves of one stamp do not belong together."""
    if len(left.times) != len(right.times):
        return f"both arms must have equally many points, got {len(left.times)} left and {len(right.times)} right"
    if not np.allclose(left.times, right.times, rtol=0.0, atol=1e-6, equal_nan=True):
        return "both arms must have the same times, got different ones"
    return None
