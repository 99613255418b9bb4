"""Tests what the back end for Interbotix's driver reads and sets in the memory of the motors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import JointState

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha
from support.interbotix_bench import Bench, running_bench

pytestmark = [pytest.mark.graph("drivers"), pytest.mark.usefixtures("interbotix_messages")]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


@pytest.fixture
def wishing() -> Iterator[Bench]:
    with running_bench(RobotConfig(backend="interbotix", position_gain=900, profile_velocity=3.14159)) as bench:
        yield bench


def found(bench: Bench, name: str) -> str:
    (finding,) = [each for each in bench.backend.diagnose() if each.name == name]
    return finding.value


def advice(bench: Bench) -> str:
    return "; ".join(each.advice for each in bench.backend.diagnose() if each.advice)


def test_gains_and_the_speed_limit_of_the_motors_are_set_and_read_back(wishing: Bench) -> None:
    drivers = [wishing.start(side) for side in aloha.SIDES]
    wishing.until_prepared()
    for driver in drivers:
        gains, speeds = (driver.motors.registers[name] for name in ("Position_P_Gain", "Profile_Velocity"))
        assert [gains[joint] for joint in aloha.ARM_JOINTS] == [900] * 6 and gains["gripper"] == 800
        assert [speeds[joint] for joint in aloha.ARM_JOINTS] == [131] * 6 and speeds["gripper"] == 0
        assert not any("set_operating_modes arm" in call for call in driver.calls)  # It drops the torque.
    assert found(wishing, "follower_left Profile_Velocity") == "3.14 rad/s"


def test_without_a_wish_the_motors_keep_what_they_have_and_a_soft_arm_is_named(bench: Bench) -> None:
    left, right = bench.start("left", has_services=False), bench.start("right")
    left.motors.registers["Position_P_Gain"]["elbow"] = 100
    left.offer_services()
    bench.until_prepared()
    assert left.motors.registers["Position_P_Gain"]["elbow"] == 100
    assert "the gain of elbow is below 800" in advice(bench)
    assert not any("set_motor_registers" in call for driver in (left, right) for call in driver.calls)


def test_a_gain_is_not_raised_where_the_arm_would_leap_to_its_goal(wishing: Bench) -> None:
    wishing.start("left")
    right = wishing.start("right", has_services=False)
    right.motors.speed = 0.0
    right.motors.positions["shoulder"] -= 0.1  # It sags.
    right.offer_services()
    problem = wishing.until_problem("the shoulder must be within 0.05 rad of its goal before its gain is set")
    assert "got 0.10 rad" in problem
    assert right.motors.registers["Position_P_Gain"]["waist"] == 800
    right.motors.speed = 6.0
    wishing.until_prepared()
    assert right.motors.registers["Position_P_Gain"]["waist"] == 900


def test_a_setting_that_a_motor_does_not_take_is_named(wishing: Bench) -> None:
    wishing.start("left")
    right = wishing.start("right", has_services=False)
    right.motors.stubborn.add("Profile_Velocity")
    right.offer_services()
    wishing.until_problem(
        "follower_right: Profile_Velocity of the waist must be 131 (robot.profile_velocity) after it was set, got 0"
    )


def test_a_speed_is_not_set_where_the_motors_take_it_for_a_time(wishing: Bench) -> None:
    wishing.start("left")
    right = wishing.start("right", has_services=False)
    right.motors.profile_type = "time"
    right.offer_services()
    wishing.until_problem(
        "follower_right: the profile type of the group arm must be velocity for robot.profile_velocity"
    )
    assert set(right.motors.registers["Profile_Velocity"].values()) == {0}


def test_a_gripper_gets_its_settings_back_after_a_reboot(bench: Bench) -> None:
    left, _ = bench.start("left"), bench.start("right")
    left.motors.registers["Position_P_Gain"]["gripper"] = 500
    bench.until_prepared()
    left.motors.errors["gripper"] = 32
    bench.until_problem("the motor of the gripper is limp: gripper (it tells no register, as a motor with an error")
    assert bench.prepare().success
    bench.until_prepared()
    assert "reboot_motors gripper" in left.calls
    assert left.motors.registers["Position_P_Gain"]["gripper"] == 500


def test_the_error_of_a_motor_is_named_where_the_driver_tells_it(bench: Bench) -> None:
    left, _ = bench.start("left"), bench.start("right")
    left.motors.tells_errors = True
    bench.until_prepared()
    left.motors.errors["elbow"] = 4
    bench.until_problem("motors of the arm have stopped with an error and are limp: elbow (overheating)")


def test_the_first_motor_and_the_gripper_with_an_error_do_not_pass_for_a_simulation(bench: Bench) -> None:
    bench.start("left")
    right = bench.start("right", has_services=False)
    right.motors.errors.update(waist=32, gripper=32)
    right.motors.stuck = True
    right.offer_services()
    bench.until_problem("motors of the arm have stopped with an error and are limp: waist (it tells no register")


def test_temperatures_are_read_while_nothing_moves(bench: Bench) -> None:
    left, _ = bench.start("left"), bench.start("right")
    assert bench.backend.temperatures() == ()
    bench.until_prepared()
    left.motors.registers["Present_Temperature"]["elbow"] = 61
    bench.until(lambda: ("left elbow", 61.0) in [(t.motor, t.celsius) for t in bench.backend.temperatures()])
    assert len(bench.backend.temperatures()) == 14
    assert "elbow 61 C" in found(bench, "follower_left temperatures")


def test_a_slow_bus_is_named(bench: Bench) -> None:
    bench.start("left", read_time=0.012)
    bench.start("right")
    bench.until_prepared()
    (slow,) = [each for each in bench.backend.diagnose() if each.name == "follower_left bus"]
    assert "too long for 50 Hz; set the latency_timer of its USB adapter to 1 ms" in slow.advice
    assert " of 1" in slow.value and "joint states come at" in slow.value


def test_goals_are_lost_with_the_torque_and_with_another_driver(bench: Bench) -> None:
    left, _ = bench.start("left"), bench.start("right")
    bench.until_prepared()
    assert bench.backend.goals_dropped() == 0
    left.motors.torque["elbow"] = False
    bench.until_problem("motors have no torque: elbow")
    assert bench.backend.goals_dropped() == 1
    bench.send()
    bench.spin(0.1)
    assert left.motors.commands == []  # It would leap to its goal when the torque is on again.
    left.motors.torque["elbow"] = True
    bench.until_prepared()
    bench.stop("left")
    bench.until_problem("follower_left: nobody listens to")
    assert bench.backend.goals_dropped() == 2


def test_motors_that_keep_their_torque_are_named(bench: Bench) -> None:
    left, right = bench.start("left"), bench.start("right")
    bench.until_prepared()
    right.motors.keeps_torque = True
    task = bench.node.executor.create_task(bench.backend.switch_torque_off)
    bench.until(task.done)
    assert task.result().startswith("follower_right: motors still have torque: waist, shoulder")
    assert not any(left.motors.torque.values())
    bench.until_problem("follower_left: motors have no torque: waist, shoulder")


def test_a_driver_that_ends_while_the_torque_is_switched_off_is_named(bench: Bench) -> None:
    left, _ = bench.start("left"), bench.start("right")
    bench.until_prepared()
    left.answer_time = 0.5
    task = bench.node.executor.create_task(bench.backend.switch_torque_off)
    bench.spin(0.1)
    bench.stop("left")
    bench.until(task.done)
    assert "follower_left: nobody listens to" in task.result()


def test_the_sleep_pose_is_that_of_the_driver_within_the_limits(bench: Bench) -> None:
    bench.start("left"), bench.start("right")
    bench.until_prepared()
    np.testing.assert_allclose(bench.backend.features().sleep_pose, aloha.SLEEP_POSE, atol=1e-6)


def test_who_commands_a_leader_is_told_and_two_are_named(bench: Bench) -> None:
    from interbotix_xs_msgs.msg import JointGroupCommand

    assert not any(each.name.startswith("leader") for each in bench.backend.diagnose())
    driver = bench.add(rclpy.create_node("xs_sdk", namespace="leader_left"))
    driver.create_publisher(JointState, "joint_states", 10)
    bench.until(lambda: any(each.name == "leader_left" for each in bench.backend.diagnose()))
    assert found(bench, "leader_left") == "no node commands it"
    gravity = bench.add(rclpy.create_node("gravity_compensation", namespace="leader_left"))
    gravity.create_publisher(JointGroupCommand, "commands/joint_group", 10)
    one = "commanded by /leader_left/gravity_compensation (gravity compensation)"
    bench.until(lambda: found(bench, "leader_left") == one)
    assert "leader" not in advice(bench)
    teleoperation = bench.add(rclpy.create_node("teleoperation"))
    teleoperation.create_publisher(JointGroupCommand, "leader_left/commands/joint_group", 10)
    bench.until(
        lambda: (
            "/leader_left/gravity_compensation and /teleoperation both command it; stop one of them" in advice(bench)
        )
    )
