"""Sets the pace of the control steps: the clock, or in lockstep the answers of the simulator."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer

WATCH_PERIOD = 0.05
"""The time between two looks at a lockstep in which nothing answers, s of the steady clock."""


class ControlPace:
    """Calls the control step.

    In real time a timer does. In lockstep a step follows when both arms have sent joint states since the last one.
    While a human drives, the wall clock sets the pace there too.

    Args:
        node: the node that owns the timers.
        player: the chunk player.
        lockstep: whether simulated time waits for the steps.
        period: the control period, s.
        step: makes a control step.
        watch: looks whether the robot must stop, without a step.
    """

    def __init__(
        self,
        node: Node,
        player: ChunkPlayer,
        *,
        lockstep: bool,
        period: float,
        step: Callable[[], None],
        watch: Callable[[], None],
    ) -> None:
        self._player = player
        self._lockstep = lockstep
        self._step = step
        self._states_at_step: dict[str, int] = {}  # the stamps of the joint states at the last step
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        if lockstep:
            node.create_timer(WATCH_PERIOD, watch, clock=steady)
            self._human_timer = node.create_timer(period, self._step_if_answered, clock=steady, autostart=False)
        else:
            node.create_timer(period, step, clock=steady)

    def note_step(self) -> None:
        """Records that a command is sent now. The answers to it have other stamps than the newest joint states."""
        self._states_at_step = self._player.state_stamps

    def on_arm_states(self) -> None:
        """Makes a step where joint states answer the last one."""
        if self._lockstep and self._player.playing and not self._player.human_drives:
            self._step_if_answered()

    def on_chunk(self) -> None:
        """Makes the first step of a chunk that has come in lockstep."""
        if self._lockstep and self._player.playing and self._player.awaits_first_step:
            self._step()

    def on_driver(self, *, human: bool) -> None:
        """Lets the wall clock set the pace while a human drives."""
        if self._lockstep and human:
            self._human_timer.reset()
        elif self._lockstep:
            self._human_timer.cancel()

    def _step_if_answered(self) -> None:
        stamps = self._player.state_stamps
        if all(stamps[side] != self._states_at_step.get(side) for side in stamps):
            self._step()
