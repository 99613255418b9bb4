"""Tests the back end for Interbotix's driver against the fake driver, over real topics and services."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pytest
import rclpy

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.errors import RegistryError
from chunk_ppo_ros.nodes.robot.robot_backends import make_backend
from chunk_ppo_ros.robot import aloha
from support.spinner import Spinner

if TYPE_CHECKING:
    from support.fake_driver import FakeDriver

pytestmark = [pytest.mark.graph, pytest.mark.usefixtures("interbotix_messages")]

PREPARATION = [
    "get_motor_registers gripper Hardware_Error_Status",
    "get_robot_info arm",
    "get_robot_info gripper",
    "set_operating_modes gripper current_based_position",
    "get_robot_info gripper",
    "get_motor_registers arm Hardware_Error_Status",
    "get_motor_registers gripper Hardware_Error_Status",
    "get_motor_registers arm Torque_Enable",
]
TARGET = np.array(aloha.START_POSE)


class Bench(Spinner):
    """A node with the back end, and drivers that are started and stopped."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("bench")
        super().__init__(self.node)
        self.backend = make_backend(self.node, RobotConfig(backend="interbotix"))
        self._running: dict[str, ExitStack] = {}

    def start(self, side: str, **options: object) -> FakeDriver:
        from support.fake_driver import running_driver

        self._running[side] = ExitStack()
        return self._running[side].enter_context(running_driver(side, **options))

    def stop(self, side: str) -> None:
        self._running.pop(side).close()

    def send(self, target: np.ndarray = TARGET) -> None:
        self.backend.send(target, stamp=0)

    def until_prepared(self) -> None:
        self.until(lambda: not self.backend.problem())

    def until_problem(self, text: str) -> str:
        self.until(lambda: text in self.backend.problem())
        return self.backend.problem()

    def seen(self) -> str:
        return f"the problem is: {self.backend.problem()}"

    def close(self) -> None:
        for side in list(self._running):
            self.stop(side)
        super().close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    rclpy.init()
    bench = Bench()
    yield bench
    bench.close()
    rclpy.shutdown()


def gripper_commands(driver: FakeDriver) -> list[float]:
    return [numbers[0] for kind, numbers in driver.motors.commands if kind == "gripper"]


def test_drivers_are_prepared_in_order_and_then_commanded(bench: Bench) -> None:
    bench.until_problem("follower_right: nobody listens to /follower_right/commands/joint_group")
    drivers = [bench.start(side) for side in aloha.SIDES]
    for _ in range(10):
        bench.send()  # Nothing of it may arrive.
        bench.spin(0.02)
    bench.until_prepared()
    for driver in drivers:
        assert driver.calls == PREPARATION
        assert driver.motors.modes["gripper"] == "current_based_position"
        assert driver.motors.commands == []
    target = TARGET.copy()
    target[[0, 7]] = 0.1, -0.2
    bench.send(target)
    bench.until(lambda: all(len(driver.motors.commands) == 2 for driver in drivers))
    for driver, side in zip(drivers, aloha.SIDES, strict=True):
        arm = [numbers for kind, numbers in driver.motors.commands if kind == "arm"]
        np.testing.assert_allclose(arm, [target[aloha.side_slice(side)][:6]], atol=1e-6)
        # The opening is 0.1: -0.6213 + 0.1 (1.4910 + 0.6213) = -0.41007 rad.
        assert gripper_commands(driver) == pytest.approx([-0.41007], abs=1e-5)
        assert driver.motors.mistakes == []


def test_grippers_are_commanded_only_where_their_target_has_changed(bench: Bench) -> None:
    drivers = [bench.start(side) for side in aloha.SIDES]
    bench.until_prepared()
    target = TARGET.copy()
    # An opening of 0.001 is 0.0021123 rad, so that every third step has moved by 0.005 rad or more.
    for step in range(7):
        target[aloha.GRIPPER_INDICES[0]] = 0.5 + 0.001 * step
        bench.send(target)
        bench.spin(0.02)
    bench.until(lambda: all(sum(kind == "arm" for kind, _ in d.motors.commands) == 7 for d in drivers))
    bench.spin(0.1)
    left, right = map(gripper_commands, drivers)
    assert left == pytest.approx([-0.6213 + 2.1123 * opening for opening in (0.5, 0.503, 0.506)], abs=1e-5)
    assert len(right) == 1


def test_a_malformed_target_is_not_sent_and_is_a_problem(bench: Bench) -> None:
    drivers = [bench.start(side) for side in aloha.SIDES]
    bench.until_prepared()
    bad = TARGET.copy()
    bad[3] = np.nan
    for target in (bad, TARGET[:13]):
        bench.send(target)
        assert "must be 14 finite numbers" in bench.backend.problem()
    bench.send()
    assert bench.backend.problem() == ""
    bench.until(lambda: all(driver.motors.commands for driver in drivers))
    bench.spin(0.1)
    assert all(len(driver.motors.commands) == 2 and not driver.motors.mistakes for driver in drivers)


@pytest.mark.parametrize(
    ("spoil", "repair", "text"),
    [
        (
            lambda driver: driver.motors.modes.update(waist="pwm"),
            lambda driver: driver.motors.modes.update(waist="position"),
            "the operating mode of the group arm must be position, got pwm",
        ),
        (
            lambda driver: driver.joints.reverse(),
            lambda driver: driver.joints.reverse(),
            "in this order, got wrist_rotate, wrist_angle, forearm_roll, elbow, shoulder, waist",
        ),
        (
            lambda driver: driver.limits["upper"].__setitem__(1, 1.2),
            lambda driver: driver.limits["upper"].__setitem__(1, 1.25),
            "upper limits must be those of aloha_vx300s within 0.01 rad, got shoulder 1.200 (expected 1.257)",
        ),
        (
            lambda driver: setattr(driver, "keeps_modes", True),
            lambda driver: setattr(driver, "keeps_modes", False),
            "mode must be current_based_position, got linear_position after it was set",
        ),
        (
            lambda driver: driver.motors.torque.update(elbow=False),
            lambda driver: driver.motors.torque.update(elbow=True),
            "motors have no torque: elbow",
        ),
        (
            lambda driver: driver.motors.errors.update(shoulder=4),
            lambda driver: driver.motors.errors.update(shoulder=0),
            "are limp: shoulder (overheating)",
        ),
    ],
    ids=["mode of the arm", "order of joints", "limits", "mode of the gripper", "torque", "error of a motor"],
)
def test_a_driver_that_is_not_as_it_must_be_is_not_commanded_until_it_is(bench: Bench, spoil, repair, text) -> None:
    left, right = bench.start("left"), bench.start("right", has_services=False)
    spoil(right)
    right.offer_services()
    bench.until(lambda: bench.backend.problem().startswith("follower_right: "))
    bench.until_problem(text)
    bench.send()
    bench.until(lambda: len(left.motors.commands) == 2)
    assert right.motors.commands == []
    repair(right)
    bench.until_prepared()
    assert not any("reboot" in call for call in right.calls)


def test_a_gripper_that_has_stopped_is_rebooted_once_and_then_when_it_is_asked_for(bench: Bench) -> None:
    left, right = (bench.start(side, has_services=False) for side in aloha.SIDES)
    left.motors.errors["gripper"] = right.motors.errors["gripper"] = 32
    right.motors.stuck = True
    left.offer_services()
    right.offer_services()
    bench.until_problem("follower_right: the motor of the gripper is limp: gripper (overload)")
    assert left.calls[:3] == [PREPARATION[0], "reboot_motors gripper", "get_robot_info arm"]
    bench.spin(1.5)  # It is prepared in vain again and again, and not rebooted.
    assert right.calls.count("reboot_motors gripper") == 1
    right.motors.stuck = False
    from std_srvs.srv import Trigger

    future = bench.node.create_client(Trigger, "prepare_robot").call_async(Trigger.Request())
    bench.until(future.done)
    assert future.result().success
    bench.until_prepared()
    assert right.calls.count("reboot_motors gripper") == 2


def test_motors_are_looked_after_only_while_nothing_moves(bench: Bench) -> None:
    left, right = (bench.start(side) for side in aloha.SIDES)
    bench.until_prepared()
    num_calls = len(left.calls)
    for _ in range(60):
        bench.send()
        bench.spin(0.02)
    assert len(left.calls) == num_calls
    from std_srvs.srv import Trigger

    future = bench.node.create_client(Trigger, "prepare_robot").call_async(Trigger.Request())
    bench.until(future.done)
    assert not future.result().success and "the robot moves" in future.result().message
    right.motors.errors["gripper"] = 32
    bench.until_problem("follower_right: the motor of the gripper is limp")
    num_commands = len(left.motors.commands)
    bench.send()  # The arms may still be held.
    bench.until(lambda: len(left.motors.commands) > num_commands)


def test_services_that_come_late_and_answer_late_are_waited_for(bench: Bench) -> None:
    bench.start("right")
    left = bench.start("left", has_services=False)
    bench.until_problem("follower_left/get_motor_registers is not there yet")
    left.answer_time = 2.5
    left.offer_services()
    bench.until_problem("get_motor_registers has not answered yet")
    left.answer_time = 0.0
    bench.until_prepared()
    assert left.calls == PREPARATION


def test_a_driver_that_is_started_again_is_prepared_before_it_is_commanded(bench: Bench) -> None:
    bench.start("right")
    bench.start("left")
    bench.until_prepared()
    bench.send()
    bench.stop("left")
    bench.until_problem("follower_left: nobody listens to")
    again = bench.start("left")
    while bench.backend.problem():
        bench.send()
        bench.spin(0.02)
    assert again.motors.commands == [] and again.calls == PREPARATION
    bench.send()
    bench.until(lambda: len(again.motors.commands) == 2)  # The gripper too, though its target is the same.
    assert again.motors.mistakes == []


def test_a_driver_whose_predecessor_is_not_known_to_be_dead_is_prepared(bench: Bench) -> None:
    from support.fake_driver import running_driver

    bench.start("right")
    killed = bench.start("left")
    bench.until_prepared()
    killed.motors.modes["gripper"] = "linear_position"  # Here it still answers, as the new driver does.
    with running_driver("left") as again:  # ROS shows a killed driver for some seconds more.
        bench.until_problem("follower_left: ")
        bench.until_prepared()
        bench.until(lambda: again.motors.modes["gripper"] == "current_based_position")
        assert again.motors.commands == []


def test_interbotix_simulation_tells_no_registers_and_is_prepared(bench: Bench) -> None:
    drivers = [bench.start(side, is_simulation=True, rate=30.0) for side in aloha.SIDES]
    bench.until_prepared()
    bench.send()
    bench.until(lambda: all(len(driver.motors.commands) == 2 for driver in drivers))


def test_without_the_interface_package_the_error_says_what_to_source(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("interbotix_xs_msgs", "interbotix_xs_msgs.msg", "interbotix_xs_msgs.srv"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(RegistryError, match="needs the ROS package interbotix_xs_msgs.*source the workspace"):
        make_backend(None, RobotConfig(backend="interbotix"))  # type: ignore[arg-type]
