"""Carries out the orders for one leader: align it, hold it, let it go."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.robot.interbotix.driver_checks import DriverRefused
from chunk_ppo_ros.nodes.robot.interbotix.motor_settings import Routine
from chunk_ppo_ros.nodes.robot.interbotix.waits import PREPARING, ServiceCall, Wait
from chunk_ppo_ros.nodes.robot.leaders.leader_link import LeaderLink
from chunk_ppo_ros.nodes.robot.leaders.leader_routines import let_go, take
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.leaders.alignment import GIVE_WAY_ERROR, Alignment
from chunk_ppo_ros.robot.leaders.handover import LeaderReport, Order
from chunk_ppo_ros.robot.leaders.leader_arms import LeaderArms

LONGEST_WAIT = 10.0
"""The seconds after which a driver that does not answer is given up."""
LOOK_PERIOD = 0.2
"""The seconds between two looks at who drives and commands the leader."""
_ARM = slice(0, len(aloha.ARM_JOINTS))


class Leader:
    """Drives one leader through its driver, while there is an order.

    Args:
        link: the topics and services of the driver.
        side: "left" or "right".
        arms: the newest joint states of the leaders.
        config: the speed and the limit of the currents.
    """

    def __init__(self, link: LeaderLink, side: str, arms: LeaderArms, config: RobotConfig) -> None:
        self._link = link
        self._side = side
        self._arms = arms
        self._config = config
        self._period = 1.0 / config.control_rate
        self._order = Order.NOTHING
        self._alignment: Alignment | None = None  # exists while the leader has torque by us
        self._held: np.ndarray | None = None  # the last goal, float [6], where the leader may still hold it
        self._is_limp = False  # whether we have switched the torque off since the order came
        self._routine: Routine | None = None
        self._wait: Wait | None = None
        self._wait_began = 0.0
        self._drivers: frozenset[bytes] = frozenset()
        self._looked_at = -LOOK_PERIOD
        self._problem = ""

    def ask_again(self) -> None:
        """Lets a leader that has met resistance try again now."""
        if self._alignment is not None:
            self._alignment.ask_again()

    def step(self, order: Order, goal: np.ndarray | None, *, now: float) -> LeaderReport:
        """Goes on with an order, and returns how it stands. It returns at once.

        Args:
            order: what is to be done.
            goal: float [6], where the follower is commanded to be; None while it is not known.
            now: the steady time, s.
        """
        if order is not self._order:
            self._begin(order)
        if order is Order.NOTHING:
            return LeaderReport(is_done=True)
        try:
            self._look(now)
            report = self._let_go(now) if order is Order.LET_GO else self._hold(order, goal, now)
        except DriverRefused as error:
            self._forget()
            return LeaderReport(problem=f"{self._link.name}: {error}")
        return LeaderReport(report.is_done, f"{self._link.name}: {report.waits_for}" if report.waits_for else "")

    def close(self) -> None:
        """Stops commanding the leader. Its motors keep what they have."""
        self._forget()

    def _begin(self, order: Order) -> None:
        changes = Order.LET_GO in (order, self._order) or Order.NOTHING in (order, self._order)
        self._is_limp = False
        if changes:
            self._end_routine()
        if self._alignment is not None and (self._order, order) == (Order.HOLD, Order.ALIGN):
            # Somebody may have switched gravity compensation on, or the torque off, since the last takeover.
            self._held, self._alignment = self._alignment.commanded, None
        if order is Order.NOTHING:
            self._forget()
        if order is Order.LET_GO:
            self._alignment = self._held = None
            self._link.leave()
        self._order = order

    def _look(self, now: float) -> None:
        """Notices that the driver is gone, is another one, or that another program commands the leader.

        Raises:
            DriverRefused: where the leader must be left alone.
        """
        if now - self._looked_at < LOOK_PERIOD:
            return
        self._looked_at = now
        before, self._drivers = self._drivers, self._link.drivers()
        if not self._drivers:
            raise DriverRefused("nobody publishes its joint states; start its driver")
        if before and not self._drivers <= before:
            raise DriverRefused("its driver was started again, and the torque may be off")
        if rivals := self._link.rivals():
            raise DriverRefused(f"{rivals} commands it too; stop that node")
        self._link.check_uncontradicted()

    def _hold(self, order: Order, goal: np.ndarray | None, now: float) -> LeaderReport:
        if self._alignment is None:
            return self._take(now)
        if order is Order.ALIGN:
            return self._align(self._alignment, goal, now)
        if self._gives_way(self._alignment, now) or order is Order.WAIT:
            return LeaderReport()
        self._link.close()  # The motors hold the last goal.
        return LeaderReport(is_done=True)

    def _gives_way(self, alignment: Alignment, now: float) -> bool:
        """Goes on with a leader that was stopped on its way. Returns whether it still gives way to what it pressed."""
        if not self._link.is_connected:
            return False
        reading = self._arms.reading(self._side, now=now)
        before = alignment.commanded
        command = alignment.stay(None if reading is None else reading.state[_ARM], now=now, period=self._period)
        if command is not before:
            self._link.send(command.tolist())
        return alignment.gives_way

    def _align(self, alignment: Alignment, goal: np.ndarray | None, now: float) -> LeaderReport:
        reading = self._arms.reading(self._side, now=now)
        if goal is None or reading is None:
            alignment.rest()
            unknown = self._arms.unknown(self._side, now=now)
            return LeaderReport(waits_for=unknown or "it is not known where its follower is; check the driver of that")
        self._link.open()
        if not self._link.is_connected:
            return LeaderReport(waits_for="its driver does not listen to commands yet; check that it runs")
        currents = None if reading.currents is None else reading.currents[_ARM]
        command = alignment.step(goal, reading.state[_ARM], currents, now=now, period=self._period)
        self._link.send(command.tolist())
        return LeaderReport(alignment.is_aligned, alignment.resistance)

    def _take(self, now: float) -> LeaderReport:
        if self._routine is None:
            if self._arms.reading(self._side, now=now) is None:
                return LeaderReport(waits_for=self._arms.unknown(self._side, now=now))
            self._routine = take(self._link, self._start, lambda now: self._arms.unknown(self._side, now=now))
        if not self._is_over(self._routine, now):
            return LeaderReport(waits_for=self._waits_for())
        self._end_routine()
        speed, current = self._config.leader_velocity, self._config.leader_max_current
        self._alignment = Alignment(self._start(), speed=speed, max_current=current)
        return LeaderReport()

    def _let_go(self, now: float) -> LeaderReport:
        if self._is_limp:
            return LeaderReport(is_done=True)
        if self._routine is None:
            self._routine = let_go(self._link)
        if not self._is_over(self._routine, now):
            return LeaderReport(waits_for=self._waits_for())
        self._end_routine()
        self._is_limp = True
        return LeaderReport(is_done=True)

    def _start(self) -> np.ndarray:
        """Returns where the leader is held when it gets torque, float [6].

        It is its last goal where it still holds that, because it would sink a little if it were to hold where it was
        measured. Otherwise it is where it was measured when its joint states were last believed.
        """
        measured = self._arms.newest(self._side)[_ARM]
        holds = self._held is not None and np.max(np.abs(self._held - measured)) <= GIVE_WAY_ERROR
        return self._held if self._held is not None and holds else measured

    def _is_over(self, routine: Routine, now: float) -> bool:
        """Goes on with a routine, and returns whether it has ended.

        Raises:
            DriverRefused: if something is not as it must be, or does not come.
        """
        try:
            while self._wait is None or self._wait.is_over(now):
                self._wait, self._wait_began = next(routine), now
        except StopIteration:
            return True
        if now - self._wait_began > LONGEST_WAIT:
            raise DriverRefused(f"its preparation has not gone on for {LONGEST_WAIT:g} s: {self._wait.reason}")
        return False

    def _waits_for(self) -> str:
        reason = PREPARING if self._wait is None else self._wait.reason
        return "" if reason == PREPARING else reason

    def _forget(self) -> None:
        self._end_routine()
        self._alignment = self._held = None
        self._drivers, self._looked_at = frozenset(), -LOOK_PERIOD
        self._link.leave()

    def _end_routine(self) -> None:
        if isinstance(self._wait, ServiceCall):
            self._wait.cancel()
        self._routine, self._wait = None, None
