"""Plays hostile chunks through the chunk player and its gate, without ROS and in simulated time.

A trial has its own robot and its own random numbers, which only the seed and the number of the trial decide. Joint
states, control steps, the clock, the operator and the leader arms are as hostile as the chunks.
"""

from __future__ import annotations

import collections
import heapq
import itertools
import traceback

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.units import NANOSECONDS
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from faults.counts import Counts, Violation
from faults.hostile_arms import UNBELIEVABLE, Arms, Driver, Reading
from faults.hostile_chunks import HORIZON, LONGEST, WHOLE, ChunkSource, Delivery
from faults.hostile_operator import EPISODE_STARTS, Operator
from faults.result_check import ResultCheck
from faults.stop_watch import StopWatch
from faults.stream_check import Limits, StreamCheck

START = 1_700_000_000 * NANOSECONDS
"""The ROS time at the start of a trial, ns."""
KEPT_INPUTS = 14
"""The number of inputs before a broken rule that are kept."""
MAX_AHEAD = 60.0
"""The time by which the stamp of a human's segment may be ahead of a clock that was set back, s."""
FEWEST_LAST_STEPS = 200
"""The number of control steps after the last chunk that are judged in any case."""
MOST_LAST_STEPS = 2 * LONGEST
"""The number of control steps after the last chunk within which each chunk must have its result.

The gate may make the longest chunk 1.5 times as long, and some control steps come too early for a command.
"""
MAX_STEPS_PER_CHUNK = 400
"""The number of control steps after which a trial ends although chunks are left."""


class ChunkTrial:
    """One robot in simulated time, and everything that can go wrong around it.

    Args:
        config: the limits, with a limited acceleration.
        seed: the seed of the run.
        number: the number of the trial in the run.
    """

    def __init__(self, config: RobotConfig, *, seed: int, number: int) -> None:
        self._random = np.random.default_rng([seed, number])
        self._where = f"--seed {seed} --trial {number}"
        self._period = 1.0 / config.control_rate
        self._config = config
        self.counts = Counts()
        self._inputs: collections.deque[str] = collections.deque(maxlen=KEPT_INPUTS)
        trust = TrustRule.of(config, simulated=False)
        self._player = ChunkPlayer(
            config, state_timeout=config.state_timeout, states_on_demand=False, trust=trust, segment_steps=HORIZON
        )
        limits = Limits.of(config)
        self._stream = StreamCheck(limits, self.counts, self._report)
        self._stops = StopWatch(limits, self.counts, self._stream, self._report)
        self._results = ResultCheck(self._report)
        self._arms = Arms(self._random)
        self._drivers = [Driver(side, self._random) for side in aloha.SIDES]
        self._chunks = ChunkSource(self._random, self._period)
        self._operator = Operator(
            self._player,
            self._random,
            max_velocity=config.max_velocity,
            on_speed=self._set_max_velocity,
        )
        self._queue: list[tuple[float, int, Delivery]] = []
        self._order = itertools.count()
        self._now = self._reported = self._happens = 100.0
        self._offset = 0  # of the ROS clock, ns
        self._next_chunk = self._now + 0.3
        self._stamps: dict[str, int] = {}
        self._read_at = dict.fromkeys(aloha.SIDES, -np.inf)

    def run(self, num_chunks: int) -> Counts:
        """Sends a number of chunks, waits until each must have its result, and returns the counts."""
        self._operator.start()
        try:
            for _ in range(MAX_STEPS_PER_CHUNK * num_chunks):
                if self.counts.chunks >= num_chunks:
                    break
                self._advance(sends=True)
            for number in range(MOST_LAST_STEPS):
                if number >= FEWEST_LAST_STEPS and not self._results.outstanding:
                    break
                self._advance(sends=False)
        except Exception:  # Each error is a fault of robot_node, which the trial counts and shows.
            self._report("crashes", traceback.format_exc())
        else:
            self._results.finish()
        self.counts.faults += self._operator.num_events
        return self.counts

    def _set_max_velocity(self, max_velocity: float) -> None:
        self._stream.set_max_velocity(max_velocity)
        self._stops.set_max_velocity(max_velocity)

    def _advance(self, *, sends: bool) -> None:
        """Goes on by one control step, and by what happens before it."""
        dt = self._step_time()
        self._now += dt
        self._happens = self._now - self._random.uniform(0.0, dt)
        self._arms.follow(self._stream.last, dt)
        self._break_something()
        if self._now - self._reported >= self._period * 0.999:
            self._report_states()
        if sends and self._now >= self._next_chunk:
            self._send_chunk()
        while self._queue and self._queue[0][0] <= self._now:
            self._deliver(heapq.heappop(self._queue)[2])
        was_playing = self._player.playing
        if event := self._operator.act(self._held(), self._happens):
            self._note(event)
            self._stream.allow_anchor(confirmed=event == EPISODE_STARTS)
            holds = self._player.readiness.suspended or self._operator.has_stopped
            if was_playing and holds and not self._player.human_drives:
                self._stops.cause(self._happens, event)
        self._watch_silence()
        self._tick(dt)

    def _step_time(self) -> float:
        """Returns the time until the next control step, s: often the period, at times late, or one of a burst."""
        draw = self._random.random()
        if draw < 0.9:
            return float(self._period * self._random.uniform(0.97, 1.03))
        self.counts.faults += 1
        if draw < 0.95:
            return float(self._period * self._random.uniform(1.0, 2.9))
        return float(self._period * self._random.uniform(0.01, 1.0) if draw < 0.98 else self._random.uniform(0.06, 0.5))

    def _break_something(self) -> None:
        draw = self._random.random()
        if draw < 0.004:
            self._arms.block()
            self._note("the arms are blocked")
        elif draw < 0.012:
            driver = self._drivers[int(draw * 1e6) % 2]
            driver.break_down()
            self._note(f"joint states: {driver.fault}")
        elif draw < 0.018:
            self._offset = round(self._random.choice([0.0, 0.0, self._random.normal(0.0, 5.0)]) * NANOSECONDS)
            self._note(f"the clock is offset by {self._offset / NANOSECONDS:.3f} s")
        else:
            return
        self.counts.faults += 1

    def _report_states(self) -> None:
        dt, self._reported = self._now - self._reported, self._now
        for driver in self._drivers:
            for reading in driver.report(self._arms.pose, now=self._happens, clock=self._clock(), dt=dt):
                self._take_reading(reading)

    def _take_reading(self, reading: Reading) -> None:
        age = (self._clock() - reading.stamp) / NANOSECONDS
        newest = self._stamps.get(reading.side, 0)
        is_out_of_time = abs(age) > self._config.state_timeout and reading.stamp != newest
        if reading.fault in UNBELIEVABLE or is_out_of_time:
            if self._player.playing:
                self._stops.cause(self._happens, f"joint states: {reading.fault}, {age:.2f} s old")
            self._stream.allow_anchor(confirmed=False)
        else:
            self._stream.note_reading(reading.side, reading.state, self._happens)
            if reading.stamp != newest:
                self._read_at[reading.side] = self._happens
        self._stamps[reading.side] = reading.stamp
        self._player.observe(reading.side, reading.state, stamp=reading.stamp, now=self._happens, age=age)

    def _send_chunk(self) -> None:
        deliveries = self._chunks.deliveries(self._held(), now=self._now, clock=START + round(self._now * 1e9))
        for delivery in deliveries:
            heapq.heappush(self._queue, (delivery.arrival, next(self._order), delivery))
        self.counts.chunks += 1
        self.counts.faults += deliveries[0].kind != WHOLE
        is_early = self._random.random() < 0.15
        self._next_chunk = self._now + (0.0 if is_early else self._random.uniform(0.1, 0.8))

    def _deliver(self, delivery: Delivery) -> None:
        half = delivery.trajectory
        self._note(f"{delivery.side} half, {delivery.kind}, {len(half.times)} points, stamp {half.stamp}")
        self._results.sent(half.stamp)
        age = (self._clock() - half.stamp) / NANOSECONDS
        self._player.receive(delivery.side, half, age=age, now=self._happens)

    def _watch_silence(self) -> None:
        """Records a cause of a stop at the time from which joint states are too old."""
        silent_since = min(self._read_at.values()) + self._config.state_timeout
        if self._player.playing and not self._player.human_drives and self._now > silent_since:
            self._stops.cause(silent_since, "joint states are silent")

    def _tick(self, dt: float) -> None:
        target = self._player.tick(self._now, stamp=self._clock())
        for result in self._player.take_results():
            self._take_result(result)
        is_free = not self._operator.has_frozen and not self._operator.has_stopped
        leads = self._player.human_drives and is_free and self._operator.leads(self._now)
        playing = self._player.playing
        self._stops.step(target, self._now, playing=playing, leads=leads, on_time=dt <= 1.5 * self._period)
        if target is not None:
            self._stream.command(target, self._now, playing=playing)

    def _take_result(self, result: ExecutionResult) -> None:
        self._note(f"result {result.status.name} {result.message[:90]}")
        ahead = result.stamp - self._clock() if result.human_driven else 0
        self._results.got(result, ahead=ahead / NANOSECONDS, limit=MAX_AHEAD)
        if result.status is Status.FAULT:
            self._stream.allow_anchor(confirmed=False)
            if "does not follow" in result.message and self._stream.last is not None:
                self._stops.give_way(float(np.max(np.abs(self._stream.last - self._arms.pose))) + 1.0)

    def _held(self) -> np.ndarray:
        return self._arms.pose if self._stream.last is None else self._stream.last

    def _clock(self) -> int:
        return START + round(self._now * 1e9) + self._offset

    def _note(self, text: str) -> None:
        self._inputs.append(f"{self._now:9.4f} s: {text}")

    def _report(self, rule: str, text: str) -> None:
        self.counts.add(Violation(rule, self._where, f"at {self._now:.4f} s, {text}", tuple(self._inputs)))


def run_trial(config: RobotConfig, seed: int, number: int, num_chunks: int) -> Counts:
    """Runs one trial and returns its counts. It can be called in a process of its own."""
    return ChunkTrial(config, seed=seed, number=number).run(num_chunks)
