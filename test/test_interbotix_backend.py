"""Tests what the back end for Interbotix's driver sends and watches, against the fake driver over real topics."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest
import rclpy

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.errors import RegistryError
from chunk_ppo_ros.nodes.robot.robot_backends import make_backend
from chunk_ppo_ros.robot import aloha
from support.interbotix_bench import TARGET, Bench, gripper_commands, running_bench

pytestmark = [pytest.mark.graph("drivers"), pytest.mark.usefixtures("interbotix_messages")]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


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
    assert bench.prepare().success
    bench.until_prepared()
    bench.send(bad)
    bench.send()
    assert bench.backend.problem() == ""
    bench.until(lambda: all(driver.motors.commands for driver in drivers))
    bench.spin(0.1)
    assert all(len(driver.motors.commands) == 2 and not driver.motors.mistakes for driver in drivers)


def test_motors_are_looked_after_only_while_nothing_moves(bench: Bench) -> None:
    left, right = (bench.start(side) for side in aloha.SIDES)
    bench.until_prepared()
    num_calls = len(left.calls)
    for _ in range(60):
        bench.send()
        bench.spin(0.02)
    assert len(left.calls) == num_calls
    answer = bench.prepare()
    assert not answer.success and "the robot moves" in answer.message
    right.motors.errors["gripper"] = 32
    bench.until_problem("follower_right: the motor of the gripper is limp")
    num_commands = len(left.motors.commands)
    bench.send()  # The arms may still be held.
    bench.until(lambda: len(left.motors.commands) > num_commands)


def test_another_node_that_commands_an_arm_is_named_until_it_has_gone(bench: Bench) -> None:
    from interbotix_xs_msgs.msg import JointSingleCommand

    drivers = [bench.start(side) for side in aloha.SIDES]
    bench.until_prepared()
    teleoperation = bench.add(rclpy.create_node("teleoperation", namespace="lab"))
    teleoperation.create_publisher(JointSingleCommand, "/follower_left/commands/joint_single", 10)
    problem = bench.until_problem("commands it too")
    assert problem == "follower_left: /lab/teleoperation commands it too; stop that node"
    bench.send()  # The arms may still be held.
    bench.until(lambda: all(len(driver.motors.commands) == 2 for driver in drivers))
    bench.remove(teleoperation)
    bench.until_prepared()


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


def test_a_look_at_the_motors_ends_when_the_robot_moves(bench: Bench) -> None:
    left, _ = (bench.start(side) for side in aloha.SIDES)
    bench.until_prepared()
    left.answer_time, num_calls = 0.3, len(left.calls)
    bench.until(lambda: len(left.calls) > num_calls)
    for _ in range(30):
        bench.send()
        bench.spin(0.02)
    assert left.calls[num_calls:] == ["get_robot_info arm"]
