"""Tests which joint states count as new, by their stamps and the clock."""

from __future__ import annotations

import numpy as np
import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.gate.trust_rule import TrustRule
from chunk_ppo_ros.robot.player.joint_readings import JointReadings

POSE = np.array(aloha.START_POSE)
TIMEOUT = 0.2


class Driver:
    """Sends joint states of both arms every 0.01 s, with a clock of its own."""

    def __init__(self, *, simulated: bool = False) -> None:
        rule = TrustRule.of(RobotConfig(state_timeout=TIMEOUT), simulated=simulated)
        self.readings = JointReadings(timeout=TIMEOUT, on_demand=False, rule=rule)
        self.now = 100.0
        self.clock = 1_700_000_000.0  # of the robot's machine, s
        self.late = 0.0  # how far the stamps are behind this clock, s

    def send(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.01)):
            self.now, self.clock = self.now + 0.01, self.clock + 0.01
            self.send_one(self.clock - self.late)

    def send_one(self, stamp: float, pose: np.ndarray = POSE) -> None:
        for side in aloha.SIDES:
            state = pose[aloha.side_slice(side)]
            age = self.clock - stamp
            self.readings.observe(
                side, state, stamp=round(stamp * 1e9), now=self.now, age=age, effort=None, commanded=None
            )

    @property
    def blind(self) -> str:
        return self.readings.blind(self.now) or ""


@pytest.fixture
def driver() -> Driver:
    made = Driver()
    made.send(0.3)
    assert made.blind == ""
    return made


def test_joint_states_that_come_late_are_not_believed_until_they_come_in_time(driver: Driver) -> None:
    driver.late = 0.25
    driver.send(1.0)
    assert "got 0.2 s before it" in driver.blind or "got 0.3 s before it" in driver.blind
    driver.late = 0.0
    driver.send(0.4)
    assert driver.blind == ""


@pytest.mark.parametrize("step", [-3.0, 3.0])
def test_a_step_of_the_drivers_clock_is_doubted_and_one_of_both_clocks_is_not(driver: Driver, step: float) -> None:
    driver.clock += step  # The driver runs on this machine.
    driver.send(0.05)
    assert driver.blind == ""
    driver.late = step
    driver.send(0.4)
    assert "got 3.0 s" in driver.blind
    driver.late = 0.0
    driver.send(0.6)
    assert driver.blind == ""


def test_joint_states_in_the_wrong_order_are_ignored(driver: Driver) -> None:
    stamps = driver.readings.stamps
    driver.send_one(driver.clock - 0.05)
    assert driver.readings.stamps == stamps
    for _ in range(30):
        driver.now += 0.01
        driver.send_one(driver.clock - 0.05)
    assert "no joint states of the left arm" in driver.blind


@pytest.mark.parametrize(
    ("number", "reason"), [(np.nan, "got nan"), (-np.pi, "got -3.14"), (0.0, "all six joints are exactly 0")]
)
@pytest.mark.parametrize("set_back", [0.15, 0.01], ids=["a clock that was set back", "a stamp that is repeated"])
def test_a_failed_read_stops_the_arm_although_its_stamp_is_not_new(
    driver: Driver, number: float, reason: str, set_back: float
) -> None:
    stamps = driver.readings.stamps
    driver.clock -= set_back  # The driver runs on this machine, so that its stamps go back too.
    driver.now, driver.clock = driver.now + 0.01, driver.clock + 0.01
    driver.send_one(driver.clock, np.full(14, number))
    assert reason in driver.blind and driver.readings.stamps == stamps
    assert np.array_equal(driver.readings.positions(), POSE)
    driver.send(set_back)  # None of these stamps is new.
    assert reason in driver.blind
    driver.send(0.15)
    assert driver.blind == ""


def test_the_time_of_a_simulator_may_go_back() -> None:
    driver = Driver(simulated=True)
    driver.send_one(50.0)
    driver.send_one(1.0)
    assert set(driver.readings.stamps.values()) == {1_000_000_000}
