"""Tests how the drivers of Interbotix are prepared before anything is sent, against the fake driver."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from chunk_ppo_ros.robot import aloha
from support.interbotix_bench import TARGET, Bench, gripper_commands, running_bench

pytestmark = [pytest.mark.graph("drivers"), pytest.mark.usefixtures("interbotix_messages")]

PREPARATION = [
    "get_motor_registers arm Hardware_Error_Status",
    "get_motor_registers gripper Hardware_Error_Status",
    "get_robot_info arm",
    "get_robot_info gripper",
    "set_operating_modes gripper current_based_position",
    "get_robot_info gripper",
    "get_motor_registers arm Hardware_Error_Status",
    "get_motor_registers gripper Hardware_Error_Status",
    "get_motor_registers arm Torque_Enable",
    *["get_motor_registers gripper Present_Temperature"] * 10,
    "get_motor_registers arm Present_Temperature",
    "get_motor_registers gripper Present_Temperature",
    "get_motor_registers arm Position_P_Gain",
    "get_motor_registers gripper Position_P_Gain",
    "get_motor_registers arm Profile_Velocity",
    "get_motor_registers gripper Profile_Velocity",
    "get_motor_registers gripper Current_Limit",
    "get_motor_registers gripper Goal_Current",
]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


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


@pytest.mark.parametrize(
    ("spoil", "repair", "text"),
    [
        (
            lambda driver: driver.motors.modes.update(waist="pwm"),
            lambda driver: driver.motors.modes.update(waist="position"),
            "the operating mode of the group arm must be position, got pwm",
        ),
        (
            lambda driver: driver.answers.joints.reverse(),
            lambda driver: driver.answers.joints.reverse(),
            "in this order, got wrist_rotate, wrist_angle, forearm_roll, elbow, shoulder, waist",
        ),
        (
            lambda driver: driver.answers.limits.update(shoulder=(-1.85, 1.2)),
            lambda driver: driver.answers.limits.update(shoulder=(-1.85, 1.25)),
            "upper limits must be those of aloha_vx300s within 0.01 rad, got shoulder 1.200 (expected 1.257)",
        ),
        (
            lambda driver: setattr(driver.motors, "keeps_modes", True),
            lambda driver: setattr(driver.motors, "keeps_modes", False),
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
            "are limp: shoulder (it tells no register, as a motor with an error does)",
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
    bench.until_problem("follower_right: the motor of the gripper is limp: gripper (")
    errors = PREPARATION[:2]  # They are read three times, because an answer may be lost on the bus.
    registers = ["get_motor_registers gripper Position_P_Gain", "get_motor_registers gripper Profile_Velocity"]
    assert left.calls[:10] == [*errors * 3, "reboot_motors gripper", *registers, "get_robot_info arm"]
    bench.spin(1.5)  # It is prepared in vain again and again, and not rebooted.
    assert right.calls.count("reboot_motors gripper") == 1
    right.motors.stuck = False
    answer = bench.prepare()
    assert answer.success
    bench.until_prepared()
    assert right.calls.count("reboot_motors gripper") == 2


def test_a_gripper_that_another_program_has_rebooted_gets_its_command_again(bench: Bench) -> None:
    left = bench.start("left")
    bench.start("right")
    bench.until_prepared()
    bench.send()
    bench.until(lambda: len(left.motors.commands) == 2)
    left.motors.errors["gripper"] = 32
    bench.until_problem("follower_left: the motor of the gripper is limp: gripper (")
    left.motors.reboot("gripper", enable=True)
    bench.until_prepared()
    bench.send()
    bench.until(lambda: len(left.motors.commands) == 4)  # The reboot has cleared the goal, and the target is the same.


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


def test_an_arm_whose_joint_states_do_not_come_is_not_commanded(bench: Bench) -> None:
    bench.start("right")
    left = bench.start("left", has_services=False)
    left.is_silent = True
    left.offer_services()
    bench.until_problem("follower_left: no joint states come on follower_left/joint_states")
    bench.send()
    left.is_silent = False
    bench.until_prepared()
    assert left.motors.commands == []


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
        deadline = time.monotonic() + 60.0
        while not bench.backend.problem():  # It is noticed before the back end's timer has come.
            assert time.monotonic() < deadline
            time.sleep(0.01)
        bench.until_prepared()
        bench.until(lambda: again.motors.modes["gripper"] == "current_based_position")
        assert again.motors.commands == []


@pytest.mark.parametrize(
    ("joint", "mode", "text"),
    [
        (
            "gripper",
            "linear_position",
            "the gripper's operating mode must be current_based_position, got linear_position",
        ),
        ("waist", "velocity", "the operating mode of the group arm must be position, got velocity"),
    ],
)
def test_a_mode_that_another_program_sets_is_noticed_before_anything_is_sent(bench: Bench, joint, mode, text) -> None:
    left = bench.start("left")
    bench.start("right")
    bench.until_prepared()
    bench.send()
    bench.until(lambda: len(left.motors.commands) == 2)
    left.motors.modes[joint] = mode
    bench.until_problem(f"follower_left: {text}")
    bench.send()
    bench.spin(0.3)
    assert len(left.motors.commands) == 2
    left.motors.modes["waist"] = "position"  # The gripper's mode is set again by the back end.
    bench.until_prepared()
    bench.send()
    bench.until(lambda: len(left.motors.commands) == 4)
    assert left.motors.modes["gripper"] == "current_based_position" and left.motors.mistakes == []
