"""Tests what robot_node asks ros2_control's controllers, with nodes that have their names and parameters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import rclpy
from rclpy.node import Node

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.robot import controller_checks
from chunk_ppo_ros.nodes.robot.controller_checks import ControllerChecks
from chunk_ppo_ros.nodes.robot.ros2_control import Ros2ControlBackend
from chunk_ppo_ros.robot import aloha
from support.spinner import Spinner

pytestmark = pytest.mark.graph


class Bench(Spinner):
    """Checks, and controllers that a test starts."""

    def __init__(self) -> None:
        node = rclpy.create_node("bench")
        super().__init__(node)
        self.checks = ControllerChecks(node, control_rate=50.0)
        self.backend = Ros2ControlBackend(node, RobotConfig(), checks=self.checks)

    def controller(self, name: str, parameter: str, value: object) -> Node:
        node = rclpy.create_node(name, namespace="follower_left")
        node.declare_parameter(parameter, value)
        self.add(node)
        return node

    def told(self, name: str) -> str:
        return next(each.value for each in self.backend.diagnose() if each.name == name)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(controller_checks, "STEP_PERIOD", 0.05)
    monkeypatch.setattr(controller_checks, "PERIOD", 0.3)
    rclpy.init()
    bench = Bench()
    yield bench
    bench.close()
    rclpy.shutdown()


def test_without_controllers_nothing_is_known(bench: Bench) -> None:
    bench.spin(0.3)
    assert bench.checks.problem() == ""
    assert len(bench.backend.diagnose()) == 6
    assert {finding.value for finding in bench.backend.diagnose()} == {"nobody answers"}


def test_a_manager_that_is_too_slow_is_named_until_another_one_is_there(bench: Bench) -> None:
    manager = bench.controller("controller_manager", "update_rate", 10)
    bench.until(bench.checks.problem)
    assert bench.checks.problem().startswith(
        "update_rate of follower_left/controller_manager must be at least 50 Hz (robot.control_rate), got 10"
    )
    assert bench.told("follower_left/controller_manager update_rate") == "10"
    bench.remove(manager)
    bench.until(lambda: bench.told("follower_left/controller_manager update_rate") == "nobody answers")
    bench.controller("controller_manager", "update_rate", 100)
    bench.until(lambda: bench.told("follower_left/controller_manager update_rate") == "100")
    assert bench.checks.problem() == ""


def test_joints_in_another_order_are_named(bench: Bench) -> None:
    bench.controller("arm_controller", "joints", list(reversed(aloha.ARM_JOINTS)))
    bench.controller("gripper_controller", "joints", ["left_finger"])
    bench.until(lambda: bench.told("follower_left/gripper_controller joints") == "left_finger")
    bench.until(bench.checks.problem)
    assert "the joints of follower_left/arm_controller must be waist, shoulder" in bench.checks.problem()
    assert "got wrist_rotate, wrist_angle" in bench.checks.problem()
    assert "gripper" not in bench.checks.problem()


def test_a_controller_that_is_not_as_it_must_be_is_a_problem_of_the_back_end(bench: Bench) -> None:
    bench.controller("arm_controller", "joints", ["waist"])
    bench.until(bench.checks.problem)
    assert "nobody listens to" in bench.backend.problem()
    listeners = rclpy.create_node("listeners")
    for topic in bench.nodes[0].get_publisher_names_and_types_by_node("bench", "/"):
        if "trajectory_msgs/msg/JointTrajectory" in topic[1]:
            from trajectory_msgs.msg import JointTrajectory

            listeners.create_subscription(JointTrajectory, topic[0], lambda message: None, 10)
    bench.add(listeners)
    bench.until(lambda: bench.backend.problem().startswith("the joints of follower_left/arm_controller must be"))
