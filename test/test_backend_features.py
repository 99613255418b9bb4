"""Tests what back ends say of the drivers of the arms, and how /diagnostics shows it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.common.peers.robot_readiness import RobotReadiness
from chunk_ppo_ros.nodes.robot.backend_diagnostics import backend_status
from chunk_ppo_ros.nodes.robot.robot_backends import Finding
from chunk_ppo_ros.nodes.robot.start_wait import START_PATIENCE, StartWait
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.features import RobotFeatures, interbotix_features, ros2_control_features
from support.fake_node import FakeNode


class Backend:
    """A back end that says what a test gives it."""

    def __init__(self, *findings: Finding, problem: str = "") -> None:
        self._findings, self._problem = findings, problem

    def send(self, target: np.ndarray, *, stamp: int) -> None:
        """Sends nothing."""

    def problem(self) -> str:
        return self._problem

    def diagnose(self) -> tuple[Finding, ...]:
        return self._findings

    def features(self) -> RobotFeatures:
        return interbotix_features(RobotConfig())


def test_the_features_are_in_the_units_of_each_driver() -> None:
    motors, fingers = interbotix_features(RobotConfig()), ros2_control_features(RobotConfig(control_rate=25.0))
    for features, name, unit, low, high in (
        (motors, "gripper", "rad", -0.6213, 1.4910),
        (fingers, "left_finger", "m", 0.021, 0.057),
    ):
        commands = features.commands
        assert len(commands.names) == len(commands.units) == len(commands.lower) == len(commands.upper) == 14
        assert (commands.names[0], commands.names[6]) == ("follower_left/waist", f"follower_left/{name}")
        assert (commands.units[0], commands.units[13]) == ("rad", unit)
        assert (commands.lower[6], commands.upper[13]) == pytest.approx((low, high))
        assert commands.lower[1] == aloha.LOWER_LIMITS[1]
    assert (motors.commands.rate, fingers.commands.rate, motors.states.rate) == (50.0, 25.0, 100.0)
    assert (motors.effort_unit, motors.has_temperatures, motors.switches_torque_off) == ("mA", True, True)
    assert (fingers.effort_unit, fingers.has_temperatures, fingers.switches_torque_off) == ("", False, False)
    assert fingers.summary() == (
        "14 joints at 25 Hz, arms in rad up to 3.14159 rad/s, grippers in m; states at 100 Hz at most, efforts as the "
        "driver has them"
    )


def test_the_sleep_pose_lies_within_the_ranges() -> None:
    pose = interbotix_features(RobotConfig()).sleep_pose
    assert np.all((pose >= aloha.LOWER_LIMITS) & (pose <= aloha.UPPER_LIMITS))
    np.testing.assert_allclose(pose[:7], [0.0, -1.85005, 1.6057, 0.0, -1.8675, 0.0, 0.0])


@pytest.mark.parametrize(
    ("backend", "level", "message"),
    [
        (Backend(Finding("bus", "2 ms")), DiagnosticStatus.OK, "commands reach the arms"),
        (Backend(Finding("bus", "20 ms", "set it"), Finding("gains", "800")), DiagnosticStatus.WARN, "bus: set it"),
        (Backend(Finding("bus", "20 ms", "set it"), problem="no driver"), DiagnosticStatus.ERROR, "no driver"),
    ],
)
def test_diagnostics_show_what_was_found(backend: Backend, level: bytes, message: str) -> None:
    status = backend_status(backend, StartWait(backend, began=time.monotonic()))
    assert (status.level, status.message) == (level, message)
    values = {value.key: value.value for value in status.values}
    assert values["commands reach the arms"] == str(int(level != DiagnosticStatus.ERROR))
    assert values["backend"] == "interbotix" and values["bus"] in ("2 ms", "20 ms")
    assert "14 joints at 50 Hz" in values["features"]


def test_a_back_end_that_says_nothing_is_fine() -> None:
    class Silent:
        def send(self, target: np.ndarray, *, stamp: int) -> None:
            """Sends nothing."""

    status = backend_status(Silent(), StartWait(Silent(), began=time.monotonic()))
    assert [(value.key, value.value) for value in status.values] == [("commands reach the arms", "1")]
    assert status.level == DiagnosticStatus.OK


class Waiting(Backend):
    """A back end that knows whether its drivers have not come yet."""

    is_first_wait = True

    def only_waits(self) -> bool:
        return self.is_first_wait


def test_drivers_that_have_not_come_yet_are_an_error_after_the_usual_time_only() -> None:
    backend, start = Waiting(problem="no driver"), time.monotonic()
    early, late = StartWait(backend, began=start), StartWait(backend, began=start - START_PATIENCE)
    status = backend_status(backend, early)
    assert (status.level, status.message) == (DiagnosticStatus.WARN, "waits for the drivers of the arms: no driver")
    assert ("commands reach the arms", "0") in [(value.key, value.value) for value in status.values]
    assert backend_status(backend, late).level == DiagnosticStatus.ERROR
    backend.is_first_wait = False  # A driver that was ready has gone.
    assert backend_status(backend, early).level == DiagnosticStatus.ERROR


def test_a_simulator_takes_a_robot_that_waits_for_its_drivers_for_one_that_does_not_move() -> None:
    """The level does not tell: a usual wait and an advice are both a WARN."""
    node: Any = FakeNode()
    readiness, told = RobotReadiness(node), []
    start = time.monotonic()
    for backend in (Waiting(problem="no driver"), Backend(problem="no driver"), Backend(Finding("bus", "", "set it"))):
        status = backend_status(backend, StartWait(backend, began=start))
        status.hardware_id = "aloha"
        node.subscribers["/diagnostics"](DiagnosticArray(status=[status]))
        told.append((status.level, readiness.is_ready))
    assert told == [
        (DiagnosticStatus.WARN, False),
        (DiagnosticStatus.ERROR, False),
        (DiagnosticStatus.WARN, True),
    ]


def test_only_the_wait_of_the_back_end_is_usual() -> None:
    backend = Waiting(problem="no driver")
    start = StartWait(backend, began=100.0)
    assert start.usual("no driver", now=101.0) == "waits for the drivers of the arms: no driver"
    assert start.usual("no driver", now=100.0 + START_PATIENCE) == ""
    assert start.usual("emergency stop", now=101.0) == "", "a stop goes before the wait"
    assert start.usual("", now=101.0) == ""
    unknown = Backend(problem="no driver")  # It does not tell, so that its problem is one.
    assert StartWait(unknown, began=100.0).usual("no driver", now=101.0) == ""
